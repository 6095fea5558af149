"""Lists in pages: the next one begins after the last item of the one before, whatever was inserted in between."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from msgspec import Struct

from flip_hub.mongo import Collection, Document

T = TypeVar("T")

DEFAULT = 100
MOST = 1000
"""Items of one page."""

Position = tuple[Any, ...]
"""What a list is ordered by, of one of its items: texts, numbers, dates; of no two items the same."""


class Wanted(Struct, frozen=True):
    """The part of a list that is asked for."""

    limit: int = DEFAULT
    after: Position | None = None
    """None: from the beginning."""


@dataclass(frozen=True)
class Page(Generic[T]):
    items: list[T]
    next: Position | None = None
    """Where the next page begins; None on the last."""


class Order:
    """How a collection is listed: fields and directions (1 or -1), the last field unique among equals."""

    def __init__(self, *fields: tuple[str, int]) -> None:
        self.sort = list(fields)
        """As the driver takes it; an index should agree."""

    async def read(
        self, collection: Collection, filter: Mapping[str, Any], wanted: Wanted, convert: Callable[[Document], T]
    ) -> Page[T]:
        found = collection.find(self.where(filter, wanted)).sort(self.sort).limit(wanted.limit + 1)
        return self.page([document async for document in found], wanted, convert)

    def where(self, filter: Mapping[str, Any], wanted: Wanted) -> Document:
        """The filter, and what comes after the position."""
        if wanted.after is None:
            return dict(filter)
        alternatives: list[Document] = []
        equal: Document = {}
        for (field, direction), value in zip(self.sort, wanted.after, strict=True):
            alternatives.append({**equal, field: {"$gt" if direction > 0 else "$lt": value}})
            equal[field] = value
        return {"$and": [dict(filter), {"$or": alternatives}]}

    def page(self, documents: Sequence[Document], wanted: Wanted, convert: Callable[[Document], T]) -> Page[T]:
        """Of one document more than is wanted, if there are so many (`Wanted.limit + 1` were asked for)."""
        items = [convert(document) for document in documents[: wanted.limit]]
        if len(documents) <= wanted.limit:
            return Page(items)
        last = documents[wanted.limit - 1]
        return Page(items, tuple(_key(last, field) for field, _ in self.sort))


def cut(items: Iterable[T], wanted: Wanted, key: Callable[[T], Position]) -> Page[T]:
    """A page of a short list that is in memory, ordered by `key`, upwards."""
    ordered = sorted(items, key=key)
    rest = ordered if wanted.after is None else [item for item in ordered if key(item) > wanted.after]
    page = rest[: wanted.limit]
    return Page(page, key(page[-1]) if len(rest) > len(page) else None)


def _key(document: Document, field: str) -> Any:
    value: Any = document
    for part in field.split("."):
        value = value[part]
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
