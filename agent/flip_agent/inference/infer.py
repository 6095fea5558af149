"""The fast path: inference requests in both forms as a plain ASGI handler, without framework, from bytes to bytes."""

import asyncio
import re
import time
from collections.abc import Mapping

from litestar.types import HTTPScope, Receive, Send

from flip_agent.inference.latency import Latencies
from flip_agent.inference.oip import Parameter, check_outputs, decode_request, encode_response, input_arrays
from flip_agent.inference.problems import Refusal, TooLarge, TooSlow, send_content, send_problem
from flip_agent.inference.served_models import ServedModel, ServedModels, Version
from flip_agent.inference.short_form import decode_short, encode_short, short_arrays
from flip_agent.inference.tensors import Array
from flip_runtime.errors import Rejected

PATIENCE = 30.0
"""Seconds that a request waits for its turn, unless it asks for less."""
_BODY_WITHIN = 30.0
"""Seconds between the headers and the last byte of the body."""
_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_PREDICT = re.compile(r"/predict(?:/([^/]+))?")


class ClientGone(Exception):
    """Nobody reads the answer."""


class InferEndpoint:
    def __init__(self, models: ServedModels, max_body: int) -> None:
        self._models = models
        self._max_body = max_body
        self.latencies = Latencies()

    async def takes(self, scope: HTTPScope, receive: Receive, send: Send) -> bool:
        """Answers the request if it is one for inference; else it is left alone."""
        if scope["method"] != "POST":
            return False
        if path := _INFER.fullmatch(scope["path"]):
            answer = self._infer(path[1], path[2], scope, receive)
        elif path := _PREDICT.fullmatch(scope["path"]):
            answer = self._predict(path[1], scope, receive)
        else:
            return False
        try:
            await send_content(send, 200, b"application/json", await answer)
        except Refusal as refusal:
            await send_problem(send, refusal)
        except ClientGone:
            pass
        return True

    async def _infer(self, name: str, asked: str | None, scope: HTTPScope, receive: Receive) -> bytes:
        """The Open Inference Protocol."""
        request = decode_request(await read_body(scope, receive, self._max_body))
        model, version = self._models.find(name, asked)
        check_outputs(request, version.manifest.outputs)
        inputs = input_arrays(request, version.manifest.inputs)
        outputs = await self._forward(model, version, inputs, receive, patience(request.parameters))
        return encode_response(request, version.manifest, outputs)

    async def _predict(self, name: str | None, scope: HTTPScope, receive: Receive) -> bytes:
        """The short form for people; the name may be left out when there is only one model."""
        request = decode_short(await read_body(scope, receive, self._max_body))
        model, version = self._models.find(name or self._models.only())
        inputs = short_arrays(request, version.manifest.inputs)
        outputs = await self._forward(model, version, inputs, receive, PATIENCE)
        return encode_short(version.manifest, outputs)

    async def _forward(
        self, model: ServedModel, version: Version, inputs: list[Array], receive: Receive, patience: float
    ) -> list[Array]:
        """Requests that are refused, or given up, count like any other: they took as long."""
        began = time.perf_counter()
        try:
            return await forward(model, version, inputs, receive, patience)
        finally:
            self.latencies.note(time.perf_counter() - began)


async def forward(
    model: ServedModel, version: Version, inputs: list[Array], receive: Receive, patience: float
) -> list[Array]:
    """Checked inputs to outputs. Raises `Refusal`, or `ClientGone` when that comes first."""
    if len({values.shape[0] for values in inputs}) > 1:
        shapes = {spec.name: list(values.shape) for spec, values in zip(version.manifest.inputs, inputs, strict=True)}
        raise Refusal(f"the inputs differ in their number of rows: {shapes}")
    deadline = asyncio.get_running_loop().time() + patience
    waits = model.batcher.busy
    answer = model.batcher.submit(version.predictor, inputs, deadline)
    if waits:
        await _answered_or_gone(answer, receive)
    try:
        return await answer
    except Rejected as error:
        raise Refusal(f"version {version.manifest.version} of {error.args[0]}") from error


def patience(parameters: Mapping[str, Parameter]) -> float:
    """Seconds, from `timeout` in microseconds (as Triton has it). Raises `Refusal`."""
    timeout = parameters.get("timeout", PATIENCE * 1e6)
    if isinstance(timeout, bool | str) or timeout < 0:
        raise Refusal("parameter 'timeout' takes a number of microseconds")
    return min(PATIENCE, timeout / 1e6)


async def read_body(scope: HTTPScope, receive: Receive, limit: int) -> bytes | bytearray:
    """Raises `TooLarge`, `TooSlow` or `ClientGone`."""
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if int(declared) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(_BODY_WITHIN):
            return await _whole_body(receive, limit)
    except TimeoutError as error:
        raise TooSlow(f"the body is not whole after {_BODY_WITHIN:g} s") from error


async def _whole_body(receive: Receive, limit: int) -> bytes | bytearray:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        if not body and not message["more_body"]:
            return message["body"]
        body += message["body"]
        if len(body) > limit:
            raise _too_large(limit)
        if not message["more_body"]:
            return body


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body has more than {limit} bytes", hint="send fewer rows, or raise inference.max_body")


async def _answered_or_gone(answer: asyncio.Future[list[Array]], receive: Receive) -> None:
    """Cancels the answer when the client goes first, so that it is not computed for nobody. Raises `ClientGone`."""
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(_gone(receive))
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()  # does nothing to an answer that is there
            gone.cancel()
    if answer.cancelled():
        raise ClientGone


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
