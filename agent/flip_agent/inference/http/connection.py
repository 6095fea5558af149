"""One HTTP connection of uvicorn's, bounded in what it may hold and in how long a request may be on its way.

A request is whole half a minute after its first byte, or it is answered 408 and the connection ends: be it slow in its
headers, in its body, or in what is sent on after the answer. A connection without a request is closed like an idle one.
"""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from flip_agent.inference.http.answer import WHOLE_ANSWER
from flip_agent.inference.problems import (
    PROBLEM_JSON,
    Headers,
    HeadTooLarge,
    QueueFull,
    Refusal,
    TooSlow,
    encode_headers,
    problem_headers,
    problem_of,
)

_CLOSE = (b"connection", b"close")
_HEAD_LIMIT = 2**16
"""Bytes of address and headers that come after their first packet."""
_HEADERS_LIMIT = 100
_PIPELINE_LIMIT = 16
"""Requests that wait behind the one that is being answered."""


class Connection(HttpToolsProtocol):
    whole_within: ClassVar[float] = 30.0
    """Seconds."""
    most: ClassVar[int] = 1024
    """Connections at the same time; on one more requests are refused."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._arriving = False
        """A request has begun and is not whole."""
        self._in_head = False
        self._head = 0
        """Bytes of a head that is not whole."""
        self._deadline: asyncio.TimerHandle | None = None
        self._refusal: Refusal | None = None
        """Why this connection ends."""

    # ---- what the transport tells ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def data_received(self, data: bytes) -> None:
        head_goes_on = self._in_head
        super().data_received(data)
        if not self._arriving or self.transport.is_closing():
            self._forget_deadline()
        elif head_goes_on and self._in_head and self._head_is_too_large(len(data)):
            self._end(HeadTooLarge(f"address and headers have more than {_HEAD_LIMIT} bytes"))
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.whole_within, self._end_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    # ---- what the parser tells; what is raised here becomes `send_400_response` ----

    def on_message_begin(self) -> None:
        self._arriving = self._in_head = True
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if len(self.headers) > _HEADERS_LIMIT:
            self._refusal = HeadTooLarge(f"{len(self.headers)} headers, {_HEADERS_LIMIT} are allowed")
        elif len(self.pipeline) >= _PIPELINE_LIMIT:
            self._refusal = Refusal(f"{_PIPELINE_LIMIT} requests already wait on this connection")
        elif len(self.connections) > self.most:
            self._refusal = QueueFull(f"{self.most} connections are open", hint="close those that are not used")
        if self._refusal is not None:
            raise self._refusal
        super().on_headers_complete()
        self._in_head = False
        if (cycle := self._begun()) is not None:
            whole: Any = partial(self._answer, cycle)
            self.scope["extensions"] = {WHOLE_ANSWER: whole}

    def on_message_complete(self) -> None:
        self._arriving = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._end(self._refusal or Refusal("this is no HTTP request"))

    # ---- how it answers ----

    async def _answer(self, cycle: RequestResponseCycle, status: int, headers: Headers, content: bytes) -> None:
        """What uvicorn does in two messages with a look at each header, in one write."""
        if self.flow.write_paused and not cycle.disconnected:
            await self.flow.drain()
        if cycle.disconnected:
            return
        if _CLOSE in cycle.scope["headers"]:
            cycle.keep_alive = False
            headers = [*headers, _CLOSE]
        if cycle.scope["method"] == "HEAD":
            content = b""
        cycle.response_started = cycle.response_complete = True
        self.transport.write(b"".join((STATUS_LINE[status], *_lines(headers), b"\r\n", content)))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()

    # ---- how it ends ----

    def _head_is_too_large(self, more: int) -> bool:
        self._head += more
        return self._head > _HEAD_LIMIT

    def _end_late(self) -> None:
        self._end(TooSlow(f"the request is not whole after {self.whole_within:g} s"))

    def _end(self, refusal: Refusal) -> None:
        """Tells why, unless an answer is on its way or another one is due before."""
        self._forget_deadline()
        cycle = self._begun()
        if cycle is None or self._is_next(cycle):
            self._write(refusal)
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _is_next(self, cycle: RequestResponseCycle) -> bool:
        """Whether what ends this connection is what the client waits for."""
        if self._in_head or not self._arriving:
            return cycle.response_complete
        return not (cycle.response_started or self.pipeline)

    def _begun(self) -> RequestResponseCycle | None:
        """The newest request whose head is whole."""
        return self.cycle

    def _write(self, refusal: Refusal) -> None:
        content = msgspec.json.encode(problem_of(refusal))
        headers = [
            (b"content-type", PROBLEM_JSON),
            (b"content-length", str(len(content)).encode()),
            _CLOSE,
            *encode_headers(problem_headers(refusal)),
        ]
        self.transport.write(b"".join((STATUS_LINE[refusal.status], *_lines(headers), b"\r\n", content)))

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _lines(headers: Headers) -> Iterator[bytes]:
    for name, value in headers:
        yield b"%b: %b\r\n" % (name, value)
