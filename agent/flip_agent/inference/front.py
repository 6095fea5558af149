"""What a request meets first: is it meant for this device, and does it take the fast path?"""

from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from flip_agent.inference.infer import InferEndpoint
from flip_agent.inference.problems import Foreign, send_problem

_OWN_NAMES = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})


class Front:
    """Answers nothing but loopback names: a web page that rebinds its name to 127.0.0.1 cannot use the models."""

    def __init__(self, infer: InferEndpoint, app: ASGIApp) -> None:
        self._infer = infer
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif foreign := refusal(scope):
            await send_problem(send, foreign)
        elif not await self._infer.takes(scope, receive, send):
            await self._app(scope, receive, send)


def refusal(scope: HTTPScope) -> Foreign | None:
    host = origin = None
    for name, value in scope["headers"]:
        if name == b"host":
            host = value
        elif name == b"origin":
            origin = value
    if host is None or _name(host) not in _OWN_NAMES:
        return Foreign(
            "the Host is not this device's loopback", hint="use http://127.0.0.1:PORT or http://localhost:PORT"
        )
    if origin is not None and _name(origin.partition(b"://")[2]) not in _OWN_NAMES:
        return Foreign("a page of another origin may not use this server", hint="call it from a program of this device")
    return None


def _name(authority: bytes) -> bytes:
    """Without the port; of `[::1]:80`, `[::1]`."""
    name, colon, port = authority.rpartition(b":")
    return (name if colon and port.isdigit() else authority).lower()
