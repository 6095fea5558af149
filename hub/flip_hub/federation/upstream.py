"""The gateway's connections to the SuperLink: few, kept alive, and `Unavailable` in every way that it can be away."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import msgspec

from flip_hub.federation.connection import Connection
from flip_runtime.errors import Unavailable

_PASSED = (b"content-type", b"content-length", b"accept")
"""Beside Flower's own headers (`flwr-*`), in both directions."""
AT_ONCE = 32
"""Calls; the SuperLink is one process: more only wait there."""
_IDLE = 2.0
"""Seconds, before the SuperLink's 5 s: a request on a connection that it closes would be lost."""


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

    def __init__(self, url: str, secret: str = "", *, at_once: int = AT_ONCE) -> None:
        """`secret` is the hub's internal one, which opens the fast lane."""
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._fixed = f"host: {parts.netloc}\r\nauthorization: Bearer {secret}\r\n".encode()
        self._idle: deque[Connection] = deque()
        self._slots = asyncio.Semaphore(at_once)
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        while self._idle:
            self._idle.pop().close()

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
        if not self._open:
            raise Unavailable("the gateway is not running")
        async with self._slots:
            connection = await self._connection()
            kept = False
            try:
                chunked = b"content-length" not in headers
                answer = await connection.ask(self._head(path, headers, chunked=chunked), body, chunked=chunked)
                yield Streamed(status=answer.status, headers=_passed(answer.headers), chunks=connection.pieces(answer))
                kept = answer.reusable and not answer.pieces and self._open
            finally:
                if kept:
                    connection.idle_since = time.monotonic()
                    self._idle.append(connection)
                else:
                    connection.close()

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and time.monotonic() - connection.idle_since < _IDLE:
                return connection
            connection.close()
        return await Connection.open(self._host, self._port)

    def _head(self, path: str, headers: Mapping[bytes, bytes], *, chunked: bool) -> bytes:
        lines = [b"%s: %s\r\n" % each for each in _passed(headers).items()]
        if chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        return b"POST %s HTTP/1.1\r\n%s%s\r\n" % (path.encode(), self._fixed, b"".join(lines))


def _passed(headers: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {name: value for name, value in headers.items() if name in _PASSED or name.startswith(b"flwr-")}


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body
