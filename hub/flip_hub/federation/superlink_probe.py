"""Whether the SuperLink works: its gRPC health service answers, and so does the event loop that serves everything.

The service runs in a thread of its own and says SERVING for as long as the process does; a loop that hangs is seen on
the HTTP port alone. A stopped process answers neither.
"""

import asyncio
import contextlib
import socket
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio
import httpx

_CHECK = "/grpc.health.v1.Health/Check"
_SERVING = b"\x08\x01"
"""HealthCheckResponse(status=SERVING) on the wire; the request, for the server as a whole, is empty."""


class SuperlinkProbe:
    """Open between `async with` and its end."""

    def __init__(self, health_address: str, http_address: str) -> None:
        self._channel: Any = grpc.aio.insecure_channel(health_address)
        self._http = httpx.AsyncClient(base_url=f"http://{http_address}", trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close()
        await self._http.aclose()

    async def answers(self, within: float) -> bool:
        with contextlib.suppress(TimeoutError, grpc.RpcError, httpx.HTTPError):
            async with asyncio.timeout(within):
                serving = await self._channel.unary_unary(_CHECK)(b"") == _SERVING
                return serving and (await self._http.get("/health")).is_success
        return False


def free_port(host: str) -> int:
    """Free at this moment; who is not given it in the end starts anew with another."""
    with socket.create_server((host, 0)) as found:
        return found.getsockname()[1]
