"""What holds for every answer on the port of API and console: known hosts only, and headers that bind browsers.

A page of somebody else's whose name was made to point here (DNS rebinding) sends its own name as Host, and is refused.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec

from flip_hub.listener import ASGIApplication
from flip_hub.problem import PROBLEM_JSON, NotFound, Refused, problem_of

HSTS = b"max-age=31536000"
"""A year; without subdomains, which may be other people's."""
_ANYBODY = "/health/"
"""Load balancers ask by address."""
_LOCAL = "/internal/"
"""The hub's own processes come by its socket."""
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_CONTENT_POLICY = b"content-security-policy"
_NOTHING = b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
"""For whatever does not say what it may load: answers of the API, and its page of calls."""


class KnownHosts:
    def __init__(self, names: Iterable[str]) -> None:
        """Hosts that requests may name, without ports."""
        self._names = frozenset(name.lower().strip("[]") for name in names)

    def knows(self, host: bytes) -> bool:
        """As a request names it."""
        return name_of(host) in self._names


class Hardened:
    """`tls`: browsers shall come by HTTPS alone from now on."""

    def __init__(self, app: ASGIApplication, hosts: KnownHosts, *, tls: bool) -> None:
        self._app = app
        self._hosts = hosts
        self._headers = [*_HEADERS.items(), *([(b"strict-transport-security", HSTS)] if tls else [])]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_hardened(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._with_headers(message.get("headers", []))
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send_hardened)
        else:
            await _refuse(scope, send_hardened, refusal)

    def _refusal(self, scope: Any) -> Refused | None:
        host, path = _host(scope), scope["path"]
        if not self._hosts.knows(host) and not path.startswith(_ANYBODY):
            hint = "name it in hub.names, if this hub is meant to be reached by it"
            return Refused(f"this hub is not known as {name_of(host)[:120]!r}", hint=hint)
        if path.startswith(_LOCAL):
            return NotFound(f"no call {path[:120]}", hint="GET /api/docs lists the calls")
        return None

    def _with_headers(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        given = list(headers)
        names = {name.lower() for name, _ in given}
        added = [(name, value) for name, value in self._headers if name not in names]
        policy = [] if _CONTENT_POLICY in names else [(_CONTENT_POLICY, _NOTHING)]
        return [*given, *added, *policy]


@lru_cache(maxsize=64)
def name_of(host: bytes) -> str:
    """Without its port."""
    name = host.decode("latin-1").lower()
    return name[1:].split("]")[0] if name.startswith("[") else name.rsplit(":", 1)[0]


def _host(scope: Any) -> bytes:
    """Empty when there is none, or more than one."""
    found = [value for name, value in scope["headers"] if name == b"host"]
    return found[0] if len(found) == 1 else b""


async def _refuse(scope: Any, send: Any, refusal: Refused) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.args[0]})
        return
    body = msgspec.json.encode(problem_of(refusal))
    headers = [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": int(refusal.status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
