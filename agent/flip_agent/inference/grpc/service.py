"""`inference.GRPCInferenceService`: the Open Inference Protocol over gRPC, answered by the same engine as over HTTP.

https://github.com/open-inference/open-inference-protocol, with Triton's extensions for repository, configuration and
statistics, and its stream of requests. A refusal is a status with its reason; a bug is INTERNAL, logged, and no more.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar

import grpc
import msgspec
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from msgspec import Struct
from msgspec.structs import replace

from flip_agent.inference import catalogue
from flip_agent.inference.engine.engine import Engine
from flip_agent.inference.grpc import oip_pb2 as pb
from flip_agent.inference.grpc.tensors import input_arrays, parameters, response
from flip_agent.inference.http.infer import patience
from flip_agent.inference.metrics.metrics import Metrics
from flip_agent.inference.problems import NotReady, Refusal, Unknown, problem_headers
from flip_agent.inference.protocol.declared import check_outputs

log = logging.getLogger(__name__)

_NAME = "inference.GRPCInferenceService"
_CODES = {
    HTTPStatus.BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.TOO_MANY_REQUESTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""Of refusals by their HTTP status; any other is one of the request as it is."""

Asked = TypeVar("Asked", bound=Message)
Answered = TypeVar("Answered", bound=Message)
Context = Any  # the library types those of its asynchronous API as those of the blocking one
Handler = Any


class InferenceService:
    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._models = engine.models

    def handlers(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            _NAME,
            {
                "ServerLive": _unary(self.live, pb.ServerLiveRequest),
                "ServerReady": _unary(self.ready, pb.ServerReadyRequest),
                "ModelReady": _unary(self.model_ready, pb.ModelReadyRequest),
                "ServerMetadata": _unary(self.server_metadata, pb.ServerMetadataRequest),
                "ModelMetadata": _unary(self.model_metadata, pb.ModelMetadataRequest),
                "ModelConfig": _unary(self.model_config, pb.ModelConfigRequest),
                "ModelStatistics": _unary(self.model_statistics, pb.ModelStatisticsRequest),
                "RepositoryIndex": _unary(self.index, pb.RepositoryIndexRequest),
                "RepositoryModelLoad": _unary(self.load, pb.RepositoryModelLoadRequest),
                "RepositoryModelUnload": _unary(self.unload, pb.RepositoryModelUnloadRequest),
                "ModelInfer": _unary(self.infer, pb.ModelInferRequest),
                "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(self.stream, None, _encode),
            },
        )

    # ---- server and models ----

    async def live(self, asked: pb.ServerLiveRequest, context: Context) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    async def ready(self, asked: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:
        try:
            self._models.check_ready()
        except NotReady:
            return pb.ServerReadyResponse(ready=False)
        return pb.ServerReadyResponse(ready=True)

    async def model_ready(self, asked: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:
        try:
            self._models.find(asked.name, asked.version or None)
        except (NotReady, Unknown):
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    async def server_metadata(self, asked: pb.ServerMetadataRequest, context: Context) -> pb.ServerMetadataResponse:
        return _message(catalogue.server_metadata(), pb.ServerMetadataResponse)

    async def model_metadata(self, asked: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:
        told = catalogue.model_metadata(self._models, asked.name, asked.version or None)
        return _message(replace(told, local_parts=None), pb.ModelMetadataResponse)

    async def model_config(self, asked: pb.ModelConfigRequest, context: Context) -> pb.ModelConfigResponse:
        config = catalogue.model_config(self._models, asked.name, asked.version or None)
        return pb.ModelConfigResponse(config=_message(config, pb.ModelConfig))

    async def model_statistics(self, asked: pb.ModelStatisticsRequest, context: Context) -> pb.ModelStatisticsResponse:
        found = catalogue.model_statistics(self._models, self._metrics, asked.name or None, asked.version or None)
        return pb.ModelStatisticsResponse(model_stats=[_message(each, pb.ModelStatistics) for each in found])

    # ---- repository ----

    async def index(self, asked: pb.RepositoryIndexRequest, context: Context) -> pb.RepositoryIndexResponse:
        found = catalogue.repository_index(self._models, ready=asked.ready)
        kind = pb.RepositoryIndexResponse.ModelIndex
        return pb.RepositoryIndexResponse(models=[_message(each, kind) for each in found])

    async def load(self, asked: pb.RepositoryModelLoadRequest, context: Context) -> pb.RepositoryModelLoadResponse:
        catalogue.check_load_parameters(asked.parameters)
        await self._models.load_model(asked.model_name)
        return pb.RepositoryModelLoadResponse()

    async def unload(
        self, asked: pb.RepositoryModelUnloadRequest, context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        await self._models.unload_model(asked.model_name)
        return pb.RepositoryModelUnloadResponse()

    # ---- inference ----

    async def infer(self, asked: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:
        target = None
        try:
            target = await self._engine.find(asked.model_name, asked.model_version or None)
            check_outputs((output.name for output in asked.outputs), target.version.manifest.outputs)
            inputs = input_arrays(asked, target.version.manifest.inputs)
            waits = patience(parameters(asked.parameters))
        except Refusal as refusal:
            self._engine.refused(asked.model_name, None if target is None else target.version, refusal)
            raise
        left = context.time_remaining()
        waits = waits if left is None else min(waits, left)
        outputs = await self._engine.infer(target, inputs, id=asked.id, patience=waits)
        return response(asked, target.version.manifest, outputs)

    async def stream(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """In the order of the requests, one at a time; a refusal is an answer and does not end the stream."""
        async for body in requests:
            asked = pb.ModelInferRequest()
            try:
                asked = _decode(pb.ModelInferRequest, body)
                yield pb.ModelStreamInferResponse(infer_response=await self.infer(asked, context))
            except Refusal as refusal:
                failed = pb.ModelInferResponse(model_name=asked.model_name, id=asked.id)
                yield pb.ModelStreamInferResponse(error_message=str(refusal), infer_response=failed)
            except Exception:
                log.exception("bug in a gRPC stream")
                await _abort(context, None)


def _unary(answer: Callable[[Asked, Context], Awaitable[Answered]], kind: type[Asked]) -> Handler:
    async def handle(body: bytes, context: Context) -> Answered:
        try:
            return await answer(_decode(kind, body), context)
        except Refusal as refusal:
            return await _abort(context, refusal)
        except Exception:  # gRPC would tell the client its text
            log.exception("bug in a gRPC call")
            return await _abort(context, None)

    return grpc.unary_unary_rpc_method_handler(handle, None, _encode)


def _decode(kind: type[Asked], body: bytes) -> Asked:
    """Here and not in gRPC, which would answer a damaged message with the name of our class."""
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise Refusal(f"the message is no {kind.DESCRIPTOR.name}") from error


async def _abort(context: Context, refusal: Refusal | None) -> NoReturn:
    if refusal is None:
        await context.abort(grpc.StatusCode.INTERNAL, "a bug; the server's log has it")
    else:
        code = _CODES.get(HTTPStatus(refusal.status), grpc.StatusCode.INVALID_ARGUMENT)
        await context.abort(code, str(refusal), tuple(problem_headers(refusal).items()))
    raise AssertionError("abort raises")


def _message(told: Struct, kind: type[Answered]) -> Answered:
    """The messages have the fields of the protocol's JSON."""
    return json_format.ParseDict(msgspec.to_builtins(told), kind())


def _encode(message: Message) -> bytes:
    return message.SerializeToString()
