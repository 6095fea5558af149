"""How a page is asked for: `limit`, `cursor`, `fields`. A cursor is the hub's own word, good for the list it is of.

It is signed, so whoever forges one is told so, and it is bound to the path and the filters: what it says of one list
is nothing to another.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from litestar import Request
from litestar.di import Provide
from litestar.params import QueryParameter

from flip_hub.api.pages import DEFAULT, MOST, Position, Wanted
from flip_hub.problem import Refused

_MAC = 16
_OWN = ("limit", "cursor", "fields")
"""Parameters that do not choose what the list holds."""
_FIELDS = re.compile(r"[a-z_]{1,64}(,[a-z_]{1,64}){0,63}")
_STATE = "listing"

_Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="Items of one page.")]
_Cursor = Annotated[
    str | None,
    QueryParameter(
        max_length=1024, description='Where the page begins: from the `Link` header (`rel="next"`) of the one before.'
    ),
]
_Fields = Annotated[
    str | None,
    QueryParameter(
        max_length=4096,
        description="Names of fields, with commas: only these are answered, as `application/vnd.flip.fields+json`.",
    ),
]


class Cursors:
    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, scope: bytes, position: Position) -> str:
        content = msgspec.msgpack.encode(position)
        return base64.urlsafe_b64encode(self._mac(scope, content) + content).decode().rstrip("=")

    def open(self, scope: bytes, cursor: str) -> Position:
        """Raises `Refused`."""
        try:
            content = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except (binascii.Error, ValueError):
            content = b""
        mac, content = content[:_MAC], content[_MAC:]
        if not hmac.compare_digest(mac, self._mac(scope, content)):
            hint = 'follow the Link header (rel="next") of the page before, with the same filters'
            raise Refused("this is no cursor of this list", hint=hint)
        return msgspec.msgpack.decode(content, type=tuple[Any, ...])

    def _mac(self, scope: bytes, content: bytes) -> bytes:
        return hmac.digest(self._secret, len(scope).to_bytes(4, "big") + scope + content, "sha256")[:_MAC]


@dataclass(frozen=True)
class Listing:
    """One request for a page: what its answer needs besides the items."""

    cursors: Cursors
    path: str
    filters: list[tuple[str, str]]
    limit: int
    fields: list[str]
    """Empty: all."""

    def link(self, next: Position) -> str:
        """The header's value (RFC 8288)."""
        own = {"limit": str(self.limit), "cursor": self.cursors.seal(self.scope, next)}
        fields = {"fields": ",".join(self.fields)} if self.fields else {}
        query = urlencode([*self.filters, *(own | fields).items()], safe=",")
        return f'<{self.path}?{query}>; rel="next"'

    @property
    def scope(self) -> bytes:
        return hashlib.sha256(msgspec.msgpack.encode((self.path, sorted(self.filters)))).digest()


def listing_of(request: Request[Any, Any, Any]) -> Listing | None:
    """None for a call that gives no pages."""
    return request.state.get(_STATE)


def wanted_by(cursors: Cursors) -> Provide:
    """The dependency `wanted: Wanted` of the handlers that give a `Page`."""

    def provide(
        request: Request[Any, Any, Any], limit: _Limit = DEFAULT, cursor: _Cursor = None, fields: _Fields = None
    ) -> Wanted:
        filters = [(name, value) for name, value in request.query_params.multi_items() if name not in _OWN]
        listing = Listing(cursors, request.url.path, filters, limit, _names(fields))
        request.state[_STATE] = listing
        return Wanted(limit, None if cursor is None else cursors.open(listing.scope, cursor))

    return Provide(provide, sync_to_thread=False)


def _names(fields: str | None) -> list[str]:
    if fields is None:
        return []
    if not _FIELDS.fullmatch(fields):
        raise Refused("fields: these are no names of fields", hint="names with commas between: fields=id,name")
    return list(dict.fromkeys(fields.split(",")))
