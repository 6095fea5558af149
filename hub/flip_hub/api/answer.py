"""How the API answers a GET: a page with the link to the next, only the fields that were chosen, and with an ETag.

Whoever sends the tag back is answered 304, without the body, while nothing has changed.
"""

import hashlib
from typing import Any

import msgspec
from litestar import Litestar, Request, Response
from litestar.plugins import OpenAPISchemaPlugin
from litestar.response.base import ASGIResponse
from litestar.typing import FieldDefinition
from msgspec import Raw

from flip_hub.api.cursors import Listing, listing_of
from flip_hub.api.pages import Page
from flip_hub.problem import Refused

FIELDS_JSON = "application/vnd.flip.fields+json"
"""A list whose items hold only the fields that were asked for."""
_CACHE = "private, no-cache"
"""Kept by the caller alone, and asked for each time."""


class Answer(Response[Any]):
    """`response_class` of the application: of what handlers give that is no `Response` already."""

    def to_asgi_response(self, app: Litestar | None, request: Request[Any, Any, Any], **rest: Any) -> ASGIResponse:
        listing = listing_of(request)
        if isinstance(self.content, Page) and listing is not None:
            self._take(self.content, listing)
        answer = super().to_asgi_response(app, request, **rest)
        if request.method != "GET" or answer.status_code != 200:
            return answer
        tag = _tag(answer.body, self.headers.get("Link", ""))
        if tag in _tags(request.headers.get("If-None-Match", "")):
            return ASGIResponse(status_code=304, headers={"ETag": tag, "Cache-Control": _CACHE})
        answer.headers["ETag"] = tag
        answer.headers["Cache-Control"] = _CACHE
        return answer

    def _take(self, page: Page[Any], listing: Listing) -> None:
        self.content = page.items
        if page.next is not None:
            self.headers["Link"] = listing.link(page.next)
        if listing.fields:
            self.content = chosen(page.items, listing.fields)
            self.media_type = FIELDS_JSON


class PageSchema(OpenAPISchemaPlugin):
    """A `Page[T]` is described as the array that it is answered as."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        return field_definition.origin is Page

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Any:
        items = field_definition.inner_types[0].annotation
        return schema_creator.for_field_definition(FieldDefinition.from_annotation(list[items]))


def chosen(items: list[Any], fields: list[str]) -> bytes:
    """The JSON of these fields of each item. Raises `Refused` that names one that the items do not have."""
    encoded = msgspec.json.encode(items)
    whole = msgspec.json.decode(encoded, type=list[dict[str, Raw]])
    for item in whole[:1]:
        for name in fields:
            if name not in item:
                known = ", ".join(sorted(item))
                raise Refused(f"fields: there is no field {name!r}", hint=f"there are: {known}")
    return msgspec.json.encode([{name: item[name] for name in fields if name in item} for item in whole])


def _tag(body: bytes, link: str) -> str:
    return f'W/"{hashlib.blake2b(link.encode() + body, digest_size=16).hexdigest()}"'


def _tags(header: str) -> list[str]:
    return [tag.strip() for tag in header.split(",")]
