"""Each request is a step of a trace, the caller's or a new one, and is counted by route and status.

Wrapped around the whole application, so that refusals which never reach a route are seen too. It lies on the way of
every heartbeat: some 10 us a request.
"""

import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager

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
            return trace._replace(sampled=int(trace.trace_id[-14:], 16) < self._below)
        return trace

    @contextmanager
    def under_way(self, path: str) -> Generator[None]:
        polls = path == LONG_POLL
        self.running += 1
        self.polling += polls
        try:
            yield
        finally:
            self.running -= 1
            self.polling -= polls

    def ended(self, trace: Trace, method: str, route: str, status: int, started: float, seconds: float) -> None:
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
                    start=started,
                    duration=seconds,
                    error=f"HTTP status {status}" if status >= 500 else "",
                    attributes=attributes,
                )
            )


class TracedApp:
    """An ASGI application that does what `app` does, in a trace."""

    def __init__(self, app: ASGIApp, account: RequestAccount | None = None) -> None:
        self._app = app
        self._account = account

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "headers" not in scope:  # it is the server's start
            return await self._app(scope, receive, send)
        trace = next_trace(_header(scope["headers"]))
        if self._account is not None:
            trace = self._account.decided(trace)
        enter_trace(trace)
        if self._account is None or scope["type"] != "http":
            return await self._app(scope, receive, _Sending(send, trace))
        return await self._counted(self._account, scope, receive, _Sending(send, trace))

    async def _counted(self, account: RequestAccount, scope: HTTPScope, receive: Receive, sending: "_Sending") -> None:
        started, clock = time.time(), time.perf_counter()
        try:
            with account.under_way(scope["path"]):
                await self._app(scope, receive, sending)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = scope.get("path_template") or _NO_ROUTE
            account.ended(sending.trace, method, route, sending.status, started, time.perf_counter() - clock)


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
