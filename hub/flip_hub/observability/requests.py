"""Each request is a step of a trace: the caller's, or a new one.

Wrapped around the whole application, so that refusals which never reach a route belong to one too. It lies on the way
of every heartbeat: 3 us a request.
"""

from collections.abc import Iterable

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from flip_runtime.trace import Trace, enter_trace, next_trace

TRACEPARENT = b"traceparent"
TRACERESPONSE = b"traceresponse"
"""The answer's header (W3C Trace Context, Level 2): what the caller quotes when it asks about an error."""


class TracedApp:
    """An ASGI application that does what `app` does, in a trace."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "headers" in scope:  # else it is the server's start
            trace = next_trace(_header(scope["headers"]))
            enter_trace(trace)
            send = _named(send, trace)
        await self._app(scope, receive, send)


def _header(headers: Iterable[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == TRACEPARENT:
            return value.decode("latin-1")
    return ""


def _named(send: Send, trace: Trace) -> Send:
    async def send_named(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (TRACERESPONSE, trace.traceparent().encode())]
        await send(message)

    return send_named
