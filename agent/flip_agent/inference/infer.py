"""The fast path: inference requests over HTTP as a plain ASGI handler, without framework, from bytes to bytes."""

import asyncio
import re
from collections.abc import Mapping

from litestar.types import HTTPScope, Receive, Send

from flip_agent.inference.declared import check_outputs
from flip_agent.inference.engine import PATIENCE, ClientGone, Engine
from flip_agent.inference.oip import Parameter, decode_request, encode_response, input_arrays
from flip_agent.inference.problems import Refusal, TooLarge, TooSlow, send_content, send_problem
from flip_agent.inference.short_form import decode_short, encode_short, short_arrays

_BODY_WITHIN = 30.0
"""Seconds between the headers and the last byte of the body."""
_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_PREDICT = re.compile(r"/predict(?:/([^/]+))?")


class InferEndpoint:
    def __init__(self, engine: Engine, max_body: int) -> None:
        self._engine = engine
        self._max_body = max_body

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
        target = await self._engine.find(name, asked)
        manifest = target.version.manifest
        check_outputs((output.name for output in request.outputs), manifest.outputs)
        inputs = input_arrays(request, manifest.inputs)
        outputs = await self._engine.infer(
            target, inputs, id=request.id, patience=patience(request.parameters), gone=lambda: _gone(receive)
        )
        return encode_response(request, manifest, outputs)

    async def _predict(self, name: str | None, scope: HTTPScope, receive: Receive) -> bytes:
        """The short form for people; the name may be left out when there is only one model."""
        request = decode_short(await read_body(scope, receive, self._max_body))
        target = await self._engine.find(name or self._engine.models.only())
        manifest = target.version.manifest
        inputs = short_arrays(request, manifest.inputs)
        outputs = await self._engine.infer(target, inputs, gone=lambda: _gone(receive))
        return encode_short(manifest, outputs)


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


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
