"""The gRPC server beside the HTTP one: same address, port + 1000, same token, same certificate."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from flip_agent.inference.credentials import Credentials
from flip_agent.inference.grpc.service import Handler, InferenceService
from flip_agent.instances import GRPC_ABOVE
from flip_agent.settings import InferenceSection
from flip_runtime.errors import ConfigError

_STOP_WITHIN = 10.0
"""Seconds for what is in flight after SIGTERM."""
_CALLS_AT_ONCE = 1024
_METADATA_LIMIT = 2**13
"""Bytes."""

Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]


class GrpcServer:
    def __init__(self, where: InferenceSection, credentials: Credentials, service: InferenceService) -> None:
        self._where = where
        self._credentials = credentials
        self._service = service

    async def run(self) -> None:
        """Until it is cancelled; then what is in flight may finish. Raises `ConfigError` when it cannot listen."""
        server = grpc.aio.server(
            interceptors=[_TokenGuard(token)] if (token := self._credentials.token) else [],
            options=[
                ("grpc.so_reuseport", 0),  # else a second server would take half of the calls
                ("grpc.max_receive_message_length", self._where.max_body),
                ("grpc.max_metadata_size", _METADATA_LIMIT),
            ],
            maximum_concurrent_rpcs=_CALLS_AT_ONCE,
        )
        server.add_generic_rpc_handlers((self._service.handlers(),))
        self._bind(server)
        await server.start()
        try:
            await server.wait_for_termination()
        finally:
            await server.stop(_STOP_WITHIN)

    def _bind(self, server: grpc.aio.Server) -> None:
        where, port = self._where, self._where.port + GRPC_ABOVE
        address = f"[{where.host}]:{port}" if ":" in where.host else f"{where.host}:{port}"
        hint = (
            f"set inference.port so that both it and the port {GRPC_ABOVE} above are free, or inference.grpc to false"
        )
        if port > 2**16 - 1:
            raise ConfigError(f"gRPC would listen on port {port}, which does not exist", hint=hint)
        try:
            if ours := self._credentials.certificate:
                credentials = grpc.ssl_server_credentials([(self._credentials.private_key, ours)])
                server.add_secure_port(address, credentials)
            else:
                server.add_insecure_port(address)
        except RuntimeError as error:  # it says no more than that
            raise ConfigError(f"cannot listen on port {port} of {where.host} for gRPC", hint=hint) from error


class _TokenGuard(grpc.aio.ServerInterceptor):
    def __init__(self, token: str) -> None:
        self._wanted = f"Bearer {token}".encode()

    async def intercept_service(self, continuation: Continuation, handler_call_details: Any) -> Handler:
        for name, value in handler_call_details.invocation_metadata:
            if name == "authorization" and hmac.compare_digest(_bytes(value), self._wanted):
                return await continuation(handler_call_details)
        return _UNAUTHENTICATED


async def _refuse(asked: object, context: Any) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "send the metadata 'authorization: Bearer TOKEN'")


_UNAUTHENTICATED = grpc.unary_unary_rpc_method_handler(_refuse)


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
