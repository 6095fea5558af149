"""One request and its answer, as an ASGI application has them. The answer goes out whole, in one write."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Protocol

from litestar.types import HTTPScope

from flip_agent.inference.http.answer import refusal_answer
from flip_agent.inference.http.outlet import Outlet
from flip_agent.inference.problems import Headers, Refusal

_HEADS = {int(status): f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_CLOSE = (b"connection", b"close")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_WITHOUT_LENGTH = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Line(Protocol):
    """The connection that it came by."""

    @property
    def outlet(self) -> Outlet: ...

    def taken(self) -> None:
        """There is room for more of the body."""
        ...

    def answered(self) -> None: ...


class Exchange:
    def __init__(self, line: Line, scope: HTTPScope, *, keep_alive: bool, expects_continue: bool) -> None:
        """`expects_continue`: the body comes when it is asked for."""
        self.scope = scope
        self.keep_alive = keep_alive
        """The connection goes on after the answer."""
        self.complete = False
        """It is answered."""
        self.abandoned = False
        """Nobody reads the answer."""
        self.held = 0
        """Bytes of the body that have come and not been received."""
        self._line = line
        self._expects_continue = expects_continue
        self._body: list[bytes] = []
        self._whole = False
        self._received = False
        """The body, to its end."""
        self._news: asyncio.Future[None] | None = None
        self._start: Any = None
        self._content: list[bytes] = []

    # ---- told by the connection ----

    def feed(self, chunk: bytes) -> None:
        """A piece of the body; of no use after the answer."""
        if not self.complete:
            self._body.append(chunk)
            self.held += len(chunk)
            self._wake()

    def end(self) -> None:
        """The body is whole."""
        self._whole = True
        self._wake()

    def abandon(self) -> None:
        self.abandoned = True
        self._wake()

    # ---- used by the application ----

    async def receive(self) -> Any:
        while not (self.abandoned or self.complete):
            if self._body or (self._whole and not self._received):
                return self._next()
            if self._expects_continue and not self._whole:
                self._expects_continue = False
                self._line.outlet.write(_CONTINUE)
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """Keeps what is sent in pieces until it is whole."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._content.append(message.get("body", b""))
        if not message.get("more_body", False):
            status, headers, content = self._start["status"], [*self._start["headers"]], b"".join(self._content)
            if status not in _WITHOUT_LENGTH and all(name.lower() != b"content-length" for name, _ in headers):
                headers.append((b"content-length", str(len(content)).encode()))
            await self.answer(status, headers, content)

    async def answer(self, status: int, headers: Headers, content: bytes) -> None:
        """In one go; `headers` have the content's length."""
        outlet = self._line.outlet
        if outlet.congested:
            await outlet.writable()
        if self.complete or self.abandoned:
            return
        self.complete = True
        self._body.clear()
        self.held = 0
        if not self.keep_alive:
            headers = [*headers, _CLOSE]
        outlet.write(encode_answer(status, headers, b"" if self.scope["method"] == "HEAD" else content))
        self._wake()
        self._line.answered()

    def _next(self) -> Any:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self.held = 0
        self._received = self._whole
        self._line.taken()
        return {"type": "http.request", "body": body, "more_body": not self._whole}

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


def encode_answer(status: int, headers: Sequence[tuple[bytes, bytes]], content: bytes) -> bytes:
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"".join((_HEADS[status], *lines, b"\r\n", content))


def encode_refusal(refusal: Refusal) -> bytes:
    """Of a request that ends its connection."""
    status, headers, content = refusal_answer(refusal)
    return encode_answer(status, [*headers, _CLOSE], content)
