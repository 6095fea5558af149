"""Address and headers of one request, as the parser tells them, and what becomes of them."""

from typing import Any
from urllib.parse import unquote

import httptools
from litestar.types import HTTPScope

from flip_agent.inference.problems import HeadTooLarge, Refusal

_MOST = 100
"""Headers."""
_ASGI = {"version": "3.0", "spec_version": "2.3"}
_UPGRADING = (b"connection", b"upgrade", b"http2-settings")


class RequestHead:
    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.expects_continue = False

    def add(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"expect":
            self.expects_continue = value.lower() == b"100-continue"
        self.headers.append((name, value))

    @property
    def refusal(self) -> Refusal | None:
        if len(self.headers) > _MOST:
            return HeadTooLarge(f"{len(self.headers)} headers, {_MOST} are allowed")
        if sum(name == b"host" for name, _ in self.headers) > 1:
            return Refusal("more than one Host")
        return None

    def scope(self, method: bytes, version: str, about: dict[str, Any]) -> HTTPScope:
        """`about`: what the scopes of all requests of a connection have in common."""
        address = httptools.parse_url(self.url)
        raw_path = address.path or b"/"
        path = raw_path.decode("ascii")
        scope: Any = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": method.decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": address.query or b"",
            "root_path": "",
            "headers": self.headers,
            "state": {},
            **about,
        }
        return scope

    def without_upgrade(self, method: bytes, version: str) -> bytes:
        """As it would have been sent by a client that asks for no other protocol."""
        tokens = b",".join(value for name, value in self.headers if name == b"connection").lower().split(b",")
        kept = [header for header in self.headers if header[0] not in _UPGRADING]
        if b"close" in (token.strip() for token in tokens):
            kept.append((b"connection", b"close"))
        lines = [b"%b: %b\r\n" % header for header in kept]
        return b"".join((method, b" ", self.url, b" HTTP/", version.encode(), b"\r\n", *lines, b"\r\n"))
