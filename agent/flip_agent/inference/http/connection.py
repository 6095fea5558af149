"""One HTTP/1.1 connection, bounded in what it may hold and in how long a request may be on its way.

A request is whole half a minute after its first byte, or it is answered 408 and the connection ends: be it slow in its
headers, in its body, or in what is sent on after the answer. A connection without a request is closed like an idle one.
The parser is llhttp; uvicorn listens and ends. Why it is not uvicorn's: docs/decisions/23-http-connection.md.
"""

import asyncio
import logging
from collections import deque
from functools import partial
from typing import Any, ClassVar
from urllib.parse import unquote

import httptools
from litestar.types import HTTPScope
from uvicorn import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from flip_agent.inference.http.answer import WHOLE_ANSWER
from flip_agent.inference.http.exchange import Exchange, encode_refusal
from flip_agent.inference.problems import HeadTooLarge, QueueFull, Refusal, TooSlow

log = logging.getLogger(__name__)

_BESIDE_LIMIT = 2**16
"""Bytes of a request after its first packet that are no body: headers, trailers, what frames chunks."""
_FRAMED = 6
"""Bytes that one byte of a body comes in, at the most: a chunk of its own."""
_HEADERS_LIMIT = 100
_BODY_HELD = 2**16
"""Bytes of a body that nobody takes; then no more of it is read."""
_PIPELINE_LIMIT = 16
"""Requests that wait behind the one that is being answered."""
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class Connection(asyncio.Protocol):
    whole_within: ClassVar[float] = 30.0
    """Seconds."""
    most: ClassVar[int] = 1024
    """Connections at the same time; on one more requests are refused."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Made by uvicorn."""
        self._loop = _loop or asyncio.get_running_loop()
        self._app: Any = config.loaded_app
        self._idle_for = config.timeout_keep_alive
        self._connections: set[Any] = server_state.connections
        self._tasks: set[Any] = server_state.tasks
        self._transport: Any = None
        self._about: dict[str, Any] = {}
        """What the scopes of all its requests have in common."""
        self._parser: Any = httptools.HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)  # what follows is not read
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects_continue = False
        self._arriving = False
        """A request has begun and is not whole."""
        self._in_head = False
        self._beside = 0
        """Bytes of the request that are no body, or less where they carried one."""
        self._newest: Exchange | None = None
        """Whose head is whole."""
        self._answering: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._reading = True
        self._writable: asyncio.Future[None] | None = None
        """While the client does not read what was written."""
        self._refusal: Refusal | None = None
        """Why this connection ends."""
        self._since = self._loop.time()
        """When the request began that is arriving, or when the connection became idle."""
        self._timer = self._loop.call_later(min(self._idle_for, self.whole_within), self._tick)

    # ---- what the transport and the server tell ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport_: Any = transport
        self._transport = transport_
        self._about = {
            "server": get_local_addr(transport_),
            "client": get_remote_addr(transport_),
            "scheme": "https" if is_ssl(transport_) else "http",
        }
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        request = self._headers
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # to nothing that is spoken here: it is answered as it is
        except httptools.HttpParserError:
            self._end(self._refusal or Refusal("this is no HTTP request"))
        if self._arriving and self._headers is request:
            self._beside += len(data)
            if self._beside > _BESIDE_LIMIT:
                self._end(HeadTooLarge(f"what is beside the body has more than {_BESIDE_LIMIT} bytes"))

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._timer.cancel()
        self._abandon()
        self.resume_writing()
        self._parser = None  # it holds this object

    def shutdown(self) -> None:
        """After the answers that are due."""
        if self._newest is None or self._newest.complete:
            self._transport.close()
        else:
            self._newest.keep_alive = False

    # ---- what the parser tells; what is raised here ends `feed_data` ----

    def on_message_begin(self) -> None:
        self._arriving = self._in_head = True
        self._since = self._loop.time()
        self._beside = 0
        self._url, self._headers, self._expects_continue = b"", [], False

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # a trailer
            return
        name = name.lower()
        if name == b"expect":
            self._expects_continue = value.lower() == b"100-continue"
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._refusal = self._refused()
        if self._refusal is not None:
            raise self._refusal
        parser = self._parser
        version = parser.get_http_version()
        exchange = self._newest = Exchange(
            self,
            self._scope(version),
            keep_alive=version != "1.0" and parser.should_keep_alive() and not parser.should_upgrade(),
            expects_continue=self._expects_continue,
        )
        whole: Any = exchange.answer
        exchange.scope["extensions"] = {WHOLE_ANSWER: whole}
        self._in_head = False
        if self._answering is None:
            self._begin(exchange)
        else:
            self._waiting.append(exchange)
            self._regulate()

    def on_body(self, body: bytes) -> None:
        self._beside -= _FRAMED * len(body)
        if self._newest is not None:
            self._newest.feed(body)
            if self._newest.held > _BODY_HELD:
                self._regulate()

    def on_message_complete(self) -> None:
        self._arriving = False
        if self._newest is not None:
            self._newest.end()

    # ---- what an exchange tells ----

    def write(self, content: bytes) -> None:
        self._transport.write(content)

    @property
    def congested(self) -> bool:
        return self._writable is not None

    async def writable(self) -> None:
        if self._writable is not None:
            await self._writable

    def taken(self) -> None:
        if not self._reading:
            self._regulate()

    def answered(self) -> None:
        done, self._answering = self._answering, None
        if done is None or not done.keep_alive:
            self._transport.close()
            return
        if not self._arriving:
            self._since = self._loop.time()
        if self._waiting:
            self._begin(self._waiting.popleft())
        self.taken()

    # ---- how requests are answered ----

    def _refused(self) -> Refusal | None:
        if len(self._headers) > _HEADERS_LIMIT:
            return HeadTooLarge(f"{len(self._headers)} headers, {_HEADERS_LIMIT} are allowed")
        if len(self._waiting) >= _PIPELINE_LIMIT:
            return Refusal(f"{_PIPELINE_LIMIT} requests already wait on this connection")
        if len(self._connections) > self.most:
            return QueueFull(f"{self.most} connections are open", hint="close those that are not used")
        return None

    def _scope(self, version: str) -> HTTPScope:
        address = httptools.parse_url(self._url)
        path = address.path.decode("ascii")
        scope: Any = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": self._parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": address.path,
            "query_string": address.query or b"",
            "root_path": "",
            "headers": self._headers,
            "state": {},
            **self._about,
        }
        return scope

    def _begin(self, exchange: Exchange) -> None:
        self._answering = exchange
        task = self._loop.create_task(self._app(exchange.scope, exchange.receive, exchange.send))
        self._tasks.add(task)
        task.add_done_callback(partial(self._over, exchange))

    def _over(self, exchange: Exchange, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("bug in the application", exc_info=error)
        if not exchange.complete:
            self._transport.close()

    def _regulate(self) -> None:
        """No more is read than can be held."""
        wanted = not self._waiting and (self._newest is None or self._newest.held <= _BODY_HELD)
        if wanted == self._reading or self._transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    # ---- how it ends ----

    def _tick(self) -> None:
        """At the latest when the first of its times is up: so a request costs no timer of its own."""
        now, period = self._loop.time(), min(self._idle_for, self.whole_within)
        if self._arriving:
            due = self._since + self.whole_within
        elif self._answering is None:
            due = self._since + self._idle_for
        else:
            due = now + period
        if now < due:
            self._timer = self._loop.call_at(min(due, now + period), self._tick)
        elif self._arriving:
            self._end(TooSlow(f"the request is not whole after {self.whole_within:g} s"))
        else:
            self._transport.close()

    def _end(self, refusal: Refusal) -> None:
        """Tells why, unless an answer is on its way or another one is due before."""
        if self._transport.is_closing():
            return
        if self._is_next():
            self._transport.write(encode_refusal(refusal))
        self._abandon()
        self._transport.close()

    def _is_next(self) -> bool:
        """Whether what ends this connection is what the client waits for."""
        if self._newest is None:
            return True
        if self._in_head or not self._arriving:
            return self._newest.complete
        return self._newest is self._answering

    def _abandon(self) -> None:
        for exchange in (self._answering, *self._waiting, self._newest):
            if exchange is not None:
                exchange.abandon()
