"""The fast path: inference requests over HTTP as a plain ASGI handler, without framework, from bytes to bytes."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from litestar.types import HTTPScope, Receive, Send

from flip_agent.feedback.prediction_id import prediction_id
from flip_agent.inference.engine.engine import PATIENCE, ClientGone, Engine, Target
from flip_agent.inference.http.admission import Headers
from flip_agent.inference.http.answer import send_content, send_refusal
from flip_agent.inference.http.compression import accepted, deflated
from flip_agent.inference.http.request_body import Bodies
from flip_agent.inference.problems import Refusal
from flip_agent.inference.protocol.binary_body import HEADER_LENGTH, Body, only_array, split
from flip_agent.inference.protocol.declared import check_outputs
from flip_agent.inference.protocol.flat_request import read_flat
from flip_agent.inference.protocol.oip import InferRequest, Parameter, decode_request, encode_response, input_arrays
from flip_agent.inference.protocol.short_form import decode_short, encode_short, short_arrays
from flip_agent.inference.tensors import Array
from flip_wire.models import TensorSpec

_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_PREDICT = re.compile(r"/predict(?:/([^/]+))?")

_JSON = b"application/json"
_BINARY = b"application/octet-stream"

_WITHOUT_JSON = InferRequest(inputs=[], parameters={"binary_data_output": True})
"""What a body of nothing but one tensor asks for."""


Arrays = Callable[[Sequence[TensorSpec]], list[Array]]


class Answer(NamedTuple):
    content: bytes
    json_length: int | None = None
    """Where bytes follow the JSON."""


class InferEndpoint:
    def __init__(self, engine: Engine, max_body: int) -> None:
        self._engine = engine
        self._bodies = Bodies(max_body)

    async def takes(self, scope: HTTPScope, headers: Headers, receive: Receive, send: Send) -> bool:
        """Answers the request if it is one for inference; else it is left alone."""
        if scope["method"] != "POST":
            return False
        if path := _INFER.fullmatch(scope["path"]):
            answer = self._infer(path[1], path[2], headers, receive)
        elif path := _PREDICT.fullmatch(scope["path"]):
            answer = self._predict(path[1], headers, receive)
        else:
            return False
        try:
            await _send(scope, send, await answer, headers.get(b"accept-encoding"))
        except Refusal as refusal:
            await send_refusal(scope, send, refusal)
        except ClientGone:
            pass
        return True

    async def _infer(self, name: str, asked: str | None, headers: Headers, receive: Receive) -> Answer:
        """The Open Inference Protocol."""
        target = None
        try:
            request, arrays = _read(await self._bodies.read(headers, receive), headers.get(HEADER_LENGTH))
            target = await self._engine.find(name, asked)
            inputs = arrays(target.version.manifest.inputs)
            check_outputs((output.name for output in request.outputs), target.version.manifest.outputs)
            waits = patience(request.parameters)
        except Refusal as refusal:
            self._tell(name, target, refusal)
            raise
        outputs = await self._engine.infer(target, inputs, id=request.id, patience=waits, gone=lambda: _gone(receive))
        return Answer(*encode_response(request, target.version.manifest, outputs))

    async def _predict(self, name: str | None, headers: Headers, receive: Receive) -> Answer:
        """The short form for people; the name may be left out when there is only one model."""
        target = None
        try:
            request = decode_short(await self._bodies.read(headers, receive))
            target = await self._engine.find(name or self._engine.models.only())
            inputs = short_arrays(request, target.version.manifest.inputs)
        except Refusal as refusal:
            self._tell(name or "", target, refusal)
            raise
        id = prediction_id()
        outputs = await self._engine.infer(target, inputs, id=id, gone=lambda: _gone(receive))
        return Answer(encode_short(id, target.version.manifest, outputs))

    def _tell(self, name: str, target: Target | None, refusal: Refusal) -> None:
        self._engine.refused(name, None if target is None else target.version, refusal)


def _read(body: Body, header_length: bytes | None) -> tuple[InferRequest, Arrays]:
    """The request, and how its arrays are made once the model's inputs are known. Raises `Refusal`."""
    if header_length is None and (flat := read_flat(body)) is not None:
        return flat.request, flat.arrays
    content, binary = split(body, header_length)
    if len(binary) and not len(content):
        return _WITHOUT_JSON, lambda specs: [only_array(specs, binary)]
    request = decode_request(content)
    return request, lambda specs: input_arrays(request, specs, binary)


def patience(parameters: Mapping[str, Parameter]) -> float:
    """Seconds, from `timeout` in microseconds (as Triton has it). Raises `Refusal`."""
    timeout = parameters.get("timeout")
    if timeout is None:
        return PATIENCE
    if isinstance(timeout, bool | str) or timeout < 0:
        raise Refusal("parameter 'timeout' takes a number of microseconds")
    return min(PATIENCE, timeout / 1e6)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(scope: HTTPScope, send: Send, answer: Answer, accept_encoding: bytes | None) -> None:
    content, length = answer
    headers = [] if length is None else [(HEADER_LENGTH, str(length).encode())]
    if encoding := accepted(accept_encoding, content):
        content = await deflated(encoding, content)
        headers += [(b"content-encoding", encoding), (b"vary", b"accept-encoding")]
    await send_content(scope, send, 200, _JSON if length is None else _BINARY, content, headers)
