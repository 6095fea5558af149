"""The gateway's connections to the SuperLink: few, kept alive, and `Unavailable` in every way that it can be away."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import httpx
import msgspec

from flip_runtime.errors import FlipError, Unavailable

_PASSED = (b"content-type", b"content-length", b"accept")
"""Beside Flower's own headers (`flwr-*`), in both directions."""
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_CONNECTIONS = httpx.Limits(
    max_connections=32,  # the SuperLink is one process: more at once only wait there
    max_keepalive_connections=16,
    keepalive_expiry=2.0,  # before the SuperLink's 5 s: a request on a connection that it closes would be lost
)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Streamed(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    headers: dict[bytes, bytes]
    chunks: AsyncIterator[bytes]


class Upstream:
    """Open between `async with` and its end."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        self._client = httpx.AsyncClient(base_url=self._url, limits=_CONNECTIONS, timeout=_TIMEOUT, trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def ask(self, path: str, headers: Mapping[bytes, bytes], body: bytes) -> Answer:
        """For small bodies. Raises `Unavailable` when the SuperLink is away."""
        sized = {**headers, b"content-length": str(len(body)).encode()}
        async with self.stream(path, sized, _one(body)) as answer:
            return Answer(
                status=answer.status,
                headers=answer.headers,
                body=b"".join([chunk async for chunk in answer.chunks]),
            )

    @asynccontextmanager
    async def stream(
        self, path: str, headers: Mapping[bytes, bytes], body: AsyncIterator[bytes]
    ) -> AsyncGenerator[Streamed]:
        """Passes the body on as it comes; errors that it raises are raised here."""
        if self._client is None:
            raise Unavailable("the gateway is not running")
        try:
            request = self._client.stream("POST", path, headers=_passed(headers), content=body)
            async with request as response:
                passed = _passed({name.lower(): value for name, value in response.headers.raw})
                yield Streamed(status=response.status_code, headers=passed, chunks=response.aiter_raw(2**16))
        except FlipError:
            raise
        except httpx.TransportError as error:
            raise Unavailable("the SuperLink does not answer", hint="it is restarting: try again") from error


def _passed(headers: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {name: value for name, value in headers.items() if name in _PASSED or name.startswith(b"flwr-")}


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body
