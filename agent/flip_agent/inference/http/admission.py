"""Who may use this device's models: programs that call it by a name of its own, and show the token where there is one.

A web page that rebinds its name to this device's address (DNS rebinding) still sends its own name as Host, and a page
of another origin says so: neither gets an answer.
"""

import hmac
from collections.abc import Iterable, Mapping

from litestar.types import HTTPScope

from flip_agent.inference.problems import Foreign, NoToken, Refusal

Headers = Mapping[bytes, bytes]
"""Names in lower case; of a header that is there twice, the last."""

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class Admission:
    def __init__(self, names: Iterable[str] = (), token: str = "") -> None:
        """`names` are further ones, without a port; every request must show the token unless it is empty."""
        self._names = frozenset(name.lower().encode() for name in (*_LOOPBACK, *names))
        self._token = token.encode()

    def refusal(self, scope: HTTPScope, headers: Headers) -> Refusal | None:
        host, origin = headers.get(b"host"), headers.get(b"origin")
        if host is None or not self._is_own(_name(host), scope):
            return Foreign(
                "the Host is no name of this device",
                hint="use http://127.0.0.1:PORT or http://localhost:PORT, or list the name in inference.names",
            )
        if origin is not None and not self._is_own(_name(origin.partition(b"://")[2]), scope):
            return Foreign(
                "a page of another origin may not use this server",
                hint="call it from a program of this device, or list the page's host in inference.names",
            )
        return self.token_refusal(headers.get(b"authorization"))

    def token_refusal(self, authorization: bytes | None) -> NoToken | None:
        """Of a call in any protocol, by its `Authorization: Bearer TOKEN`."""
        if not self._token:
            return None
        scheme, _, given = (authorization or b"").partition(b" ")
        if scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token):
            return None
        return NoToken(
            "this device asks for a token", hint="send 'Authorization: Bearer TOKEN', see inference.token_file"
        )

    def _is_own(self, name: bytes, scope: HTTPScope) -> bool:
        """Also the address that the client connected to: a rebound name is never an address."""
        return name in self._names or name == _own_address(scope)


def _name(authority: bytes) -> bytes:
    """Without the port; of `[::1]:80`, `[::1]`."""
    name, colon, port = authority.rpartition(b":")
    return (name if colon and port.isdigit() else authority).lower()


def _own_address(scope: HTTPScope) -> bytes | None:
    if (server := scope.get("server")) is None:
        return None
    address = server[0].removeprefix("::ffff:")  # IPv4 on a socket for both
    return (f"[{address}]" if ":" in address else address).encode()
