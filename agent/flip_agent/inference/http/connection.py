"""One HTTP/1.1 connection, bounded in what it may hold and in how long a request may be on its way.

A request is whole half a minute after its first byte, or it is answered 408 and the connection ends: be it slow in its
headers, in its body, or in what is sent on after the answer. A connection without a request is closed like an idle one,
and so is one whose client takes nothing of its answer. What ends a connection is told after the answers that are due.
The parser is llhttp; uvicorn listens and ends. Why it is not uvicorn's: docs/decisions/23-http-connection.md.
"""

import asyncio
import logging
from collections import deque
from functools import partial
from typing import Any, ClassVar

import httptools
from uvicorn import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from flip_agent.inference.http.answer import WHOLE_ANSWER
from flip_agent.inference.http.exchange import Exchange, encode_refusal
from flip_agent.inference.http.outlet import Outlet
from flip_agent.inference.http.request_head import RequestHead
from flip_agent.inference.problems import HeadTooLarge, QueueFull, Refusal, TooSlow

log = logging.getLogger(__name__)

_BESIDE_LIMIT = 2**16
"""Bytes of a request in a row, after a packet, that are no body: headers, trailers, what frames a chunk."""
_BODY_HELD = 2**16
"""Bytes of a body that nobody takes; then no more of it is read."""
_PIPELINE_LIMIT = 16
"""Requests that wait behind the one that is being answered."""


class Connection(asyncio.Protocol):
    whole_within: ClassVar[float] = 30.0
    """Seconds."""
    lingers: ClassVar[float] = 0.5
    """Seconds that an idle connection stays open when the server is to end: its client may just be sending."""
    most: ClassVar[int] = 1024
    """Connections at the same time; a request on one more is refused, and twice as many are not even heard."""

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
        self.outlet: Any = None
        self._parser: Any = self._new_parser()
        self._head = RequestHead()
        self._arriving = False
        """A request has begun and is not whole."""
        self._in_head = False
        self._upgrading = False
        """The parser is at a request to upgrade."""
        self._beside = 0
        """Bytes since the last of a body, or since the packet that the request began in."""
        self._newest: Exchange | None = None
        """Whose head is whole."""
        self._answering: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._reading = True
        self._surplus = False
        """One of more than there may be."""
        self._refusal: Refusal | None = None
        """Why the parser was stopped."""
        self._last_words = b""
        """To be written when all that is due is answered."""
        self._deaf = False
        """Nothing more is heard: this side has ended."""
        self._leaving = False
        """The server is to end; the next answer is the last one here."""
        self._since = 0.0
        """When the request began that is arriving, or when the connection became idle."""
        self._timer: Any = None

    # ---- what the transport and the server tell ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport_: Any = transport
        self._transport = transport_
        self._about = {
            "server": get_local_addr(transport_),
            "client": get_remote_addr(transport_),
            "scheme": "https" if is_ssl(transport_) else "http",
        }
        self.outlet = Outlet(transport_, self._loop)
        self._since = self._loop.time()  # with TLS, after its handshake
        self._timer = self._loop.call_later(min(self._idle_for, self.whole_within), self._tick)
        self._connections.add(self)
        self._surplus = len(self._connections) > self.most
        if len(self._connections) > 2 * self.most:
            transport_.abort()

    def data_received(self, data: bytes) -> None:
        if self._deaf or self._last_words:
            return
        self._beside += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._end(self._refusal or Refusal("this is no HTTP request"))
        if self._arriving and self._beside > _BESIDE_LIMIT:
            self._end(HeadTooLarge(f"what is beside the body has more than {_BESIDE_LIMIT} bytes"))

    def pause_writing(self) -> None:
        self.outlet.pause()

    def resume_writing(self) -> None:
        self.outlet.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._timer.cancel()
        self._abandon()
        self.resume_writing()
        self._parser = None  # it holds this object

    def shutdown(self) -> None:
        """After the answers that are due, and the one to a request that may be on its way right now."""
        self._leaving = True
        if self._newest is not None and not self._newest.complete:
            self._newest.keep_alive = False
        else:
            self._loop.call_later(self.lingers, self._leave)

    # ---- what the parser tells; what is raised here ends `feed_data` ----

    def on_message_begin(self) -> None:
        self._arriving = self._in_head = True
        self._since = self._loop.time()
        self._beside = 0
        self._head = RequestHead()

    def on_url(self, url: bytes) -> None:
        self._head.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # and no trailer
            self._head.add(name, value)

    def on_headers_complete(self) -> None:
        self._refusal = self._refused()
        if self._refusal is not None:
            raise self._refusal
        parser = self._parser
        version = parser.get_http_version()
        if parser.should_upgrade():
            self._upgrading = True
            return
        exchange = self._newest = Exchange(
            self,
            self._head.scope(parser.get_method(), version, self._about),
            keep_alive=version != "1.0" and parser.should_keep_alive() and not self._leaving,
            expects_continue=version != "1.0" and self._head.expects_continue,
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
        self._beside = 0
        if self._newest is not None:
            self._newest.feed(body)
            if self._newest.held > _BODY_HELD:
                self._regulate()

    def on_message_complete(self) -> None:
        if self._upgrading:
            return
        self._arriving = False
        if self._newest is not None:
            self._newest.end()

    # ---- what an exchange tells ----

    def taken(self) -> None:
        if not self._reading:
            self._regulate()

    def answered(self) -> None:
        done, self._answering = self._answering, None
        if done is None or not done.keep_alive:
            self._part()
            return
        if not self._arriving:
            self._since = self._loop.time()
        if self._waiting:
            self._begin(self._waiting.popleft())
        elif self._last_words:
            self._part()
        self.taken()

    # ---- how requests are read ----

    def _new_parser(self) -> Any:
        parser: Any = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # what follows is not read
        return parser

    def _feed(self, data: bytes) -> None:
        """A request to upgrade is read as if it were none: the parser would leave out its body."""
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._plain_head() + data[upgrade.args[0] :]
                self._upgrading = False
                self._parser = self._new_parser()
            else:
                return

    def _plain_head(self) -> bytes:
        method = self._parser.get_method()
        if method == b"CONNECT":
            self._refusal = Refusal("this is no proxy")
            raise httptools.HttpParserError
        return self._head.without_upgrade(method, self._parser.get_http_version())

    # ---- how requests are answered ----

    def _refused(self) -> Refusal | None:
        if len(self._waiting) >= _PIPELINE_LIMIT:
            return Refusal(f"{_PIPELINE_LIMIT} requests already wait on this connection")
        if self._surplus:
            return QueueFull(f"{self.most} connections are open", hint="close those that are not used")
        return self._head.refusal

    def _begin(self, exchange: Exchange) -> None:
        self._answering = exchange
        task = self._loop.create_task(self._app(exchange.scope, exchange.receive, exchange.send))
        self._tasks.add(task)
        task.add_done_callback(partial(self._over, exchange))

    def _over(self, exchange: Exchange, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("bug in the application", exc_info=error)
        if not (exchange.complete or self._deaf):
            self._transport.close()

    def _regulate(self) -> None:
        """No more is read than can be held."""
        wanted = self._deaf or not (self._waiting or (self._newest is not None and self._newest.held > _BODY_HELD))
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
        arriving = self._arriving and not self._last_words
        if self.outlet.is_stuck():
            self._transport.abort()
            return
        if arriving:
            due = self._since + self.whole_within
        elif self._answering is None and not self._transport.is_closing():
            due = self._since + self._idle_for
        else:
            due = now + period
        if now < due:
            self._timer = self._loop.call_at(min(due, now + period), self._tick)
            return
        self._timer = self._loop.call_later(period, self._tick)
        if arriving and not self._deaf:
            self._end(TooSlow(f"the request is not whole after {self.whole_within:g} s"))
        else:
            self._transport.close()

    def _end(self, refusal: Refusal) -> None:
        """Tells why, after the answers that are due before."""
        if self._deaf or self._last_words or self._transport.is_closing():
            return
        broken = self._newest if self._arriving and not self._in_head else None
        if broken is None or not broken.complete:
            self._last_words = encode_refusal(refusal)
        if broken is not None:
            broken.abandon()
            if broken in self._waiting:
                self._waiting.remove(broken)
        if self._answering is None or self._answering is broken:
            self._part()

    def _leave(self) -> None:
        if self._answering is None and not self._arriving:
            self._transport.close()

    def _part(self) -> None:
        """The last words; then what is still being sent is read away, because the client might not see them else."""
        if self._last_words:
            self.outlet.write(self._last_words)
        self._abandon()
        self._answering = None
        self._waiting.clear()
        self._deaf = True
        self._since = self._loop.time()
        if self._arriving and self._transport.can_write_eof():
            self._transport.write_eof()
            self._regulate()
        else:
            self._transport.close()

    def _abandon(self) -> None:
        for exchange in (self._answering, *self._waiting, self._newest):
            if exchange is not None:
                exchange.abandon()
