"""Each request is a step of a trace, the caller's or a new one, and is counted by route and status.

Wrapped around the whole application, so that refusals which never reach a route are seen too. It lies on the way of
every heartbeat: some 10 us a request.
"""

import time
from collections.abc import Iterable

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from flip_hub.observability.metrics import LATENCY, Metrics, one
from flip_hub.observability.spans import SpanKind, SpanQueue, SpanRecord
from flip_runtime.trace import Trace, enter_trace, next_trace

TRACEPARENT = b"traceparent"
TRACERESPONSE = b"traceresponse"
"""The answer's header (W3C Trace Context, Level 2): what the caller quotes when it asks about an error."""
LONG_POLL = "/api/v1/device/desired"
TELEMETRY = "/api/v1/device/telemetry"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_ROUTE = "none"
HUNG_UP = 499
"""The caller did, before there was an answer; as nginx says it."""


class RequestAccount:
    """Counts requests, and keeps the spans of those whose trace is sampled.

    `share`: of the traces that begin at the hub; a caller's own decision is followed. With None there is nobody who
    takes spans.
    """

    def __init__(self, metrics: Metrics, spans: SpanQueue, share: float | None) -> None:
        self._spans = spans
        self._below = -1 if share is None else round(share * 2**56)
        self._exporting = share is not None
        self.running = 0
        self.polling = 0
        self._seconds = metrics.histogram(
            "http.server.request.duration",
            "How long requests took, by route and status; long polls are meant to take long.",
            unit="s",
            labels=("method", "route", "status"),
            bounds=LATENCY,
        )
        metrics.gauge("http.server.active_requests", "Requests under way.", one(lambda: self.running))
        metrics.gauge("flip.long_polls", "Devices that wait for what the hub wants of them.", one(lambda: self.polling))

    def decided(self, trace: Trace) -> Trace:
        """By the trace's id: every hub decides the same."""
        if trace.sampled is None:
            sampled = self._exporting and int(trace.trace_id[-14:], 16) < self._below
            return Trace(trace.trace_id, trace.span_id, trace.parent_id, sampled)
        return trace

    def ended(self, exchange: "Exchange", method: str, route: str, status: int) -> None:
        seconds, trace = time.perf_counter() - exchange.clock, exchange.trace
        self._seconds.record(seconds, (method, route, str(status)))
        if self._exporting and trace.sampled:
            attributes = {"http.request.method": method, "http.route": route, "http.response.status_code": status}
            self._spans.add(
                SpanRecord(
                    trace_id=trace.trace_id,
                    span_id=trace.span_id,
                    parent_id=trace.parent_id,
                    name=f"{method} {route}",
                    kind=SpanKind.SERVER,
                    start=exchange.started,
                    duration=seconds,
                    error=f"HTTP status {status}" if status >= 500 else "",
                    attributes=attributes,
                )
            )


class Exchange:
    """A request that is under way: `ended` with an answer, or `left` without one that counts."""

    __slots__ = ("_account", "_polls", "clock", "started", "trace")

    def __init__(self, account: RequestAccount, trace: Trace, path: str, came: float) -> None:
        """`came`: when, by `time.perf_counter`."""
        self._account = account
        self._polls = path == LONG_POLL
        self.trace = account.decided(trace)
        self.clock = came
        self.started = time.time() - (time.perf_counter() - came)
        account.running += 1
        account.polling += self._polls

    def left(self) -> None:
        self._account.running -= 1
        self._account.polling -= self._polls

    def ended(self, method: str, route: str, status: int) -> None:
        self.left()
        self._account.ended(self, method, route, status)


class TracedApp:
    """An ASGI application that does what `app` does, in a trace."""

    def __init__(self, app: ASGIApp, account: RequestAccount | None = None) -> None:
        self._app = app
        self._account = account

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "headers" not in scope:  # it is the server's start
            return await self._app(scope, receive, send)
        trace = next_trace(_header(scope["headers"]))
        if self._account is not None and scope["type"] == "http":
            return await self._counted(
                Exchange(self._account, trace, scope["path"], time.perf_counter()), scope, receive, send
            )
        if self._account is not None:
            trace = self._account.decided(trace)
        enter_trace(trace)
        return await self._app(scope, receive, _Sending(send, trace))

    async def _counted(self, exchange: Exchange, scope: HTTPScope, receive: Receive, send: Send) -> None:
        enter_trace(exchange.trace)
        sending = _Sending(send, exchange.trace)
        try:
            await self._app(scope, receive, sending)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            exchange.ended(method, scope.get("path_template") or _NO_ROUTE, sending.status)


class _Sending:
    """Names the trace on the answer, and notes its status."""

    def __init__(self, send: Send, trace: Trace) -> None:
        self._send = send
        self.trace = trace
        self.status = HUNG_UP

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            header = (TRACERESPONSE, self.trace.traceparent().encode())
            message["headers"] = [*message["headers"], header]
        await self._send(message)


def _header(headers: Iterable[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == TRACEPARENT:
            return value.decode("latin-1")
    return ""
