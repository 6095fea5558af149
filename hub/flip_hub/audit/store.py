"""The audit in MongoDB: collection `audit`, by number. Entries are only ever added."""

from collections.abc import AsyncIterator, Sequence

import msgspec
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import BulkWriteError

from flip_hub.api.pages import Order, Page, Wanted
from flip_hub.audit.entry import Entry, Link, Note, link
from flip_hub.audit.schemas import Sought
from flip_hub.mongo import Database, Document

_DUPLICATE = 11000
_NEWEST = Order(("_id", DESCENDING))
_NOTE = Note.__struct_fields__


class AuditStore:
    def __init__(self, database: Database) -> None:
        self._entries = database["audit"]

    async def end(self) -> Link:
        """Of the chain."""
        newest = await self._entries.find_one(sort=[("_id", DESCENDING)])
        return Link() if newest is None else link(entry_of(newest))

    async def append(self, entries: Sequence[Entry]) -> int:
        """How many of them were added, from the first on; fewer when another hub was first with a number."""
        try:
            await self._entries.insert_many([_document(entry) for entry in entries], ordered=True)
        except BulkWriteError as error:
            failure = error.details["writeErrors"][0] if error.details.get("writeErrors") else None
            if failure is None or failure["code"] != _DUPLICATE:
                raise
            return failure["index"]
        return len(entries)

    async def holds(self, notes: Sequence[Note]) -> list[bool]:
        """Of each, whether it is among the newest entries: looked at when an answer of the registry was lost."""
        found = self._entries.find().sort("_id", DESCENDING).limit(10 * len(notes))
        said = {tuple(document.get(name, "") for name in _NOTE) async for document in found}
        return [tuple(getattr(note, name) for name in _NOTE) in said for note in notes]

    async def page(self, sought: Sought, wanted: Wanted) -> Page[Entry]:
        """Newest first."""
        return await _NEWEST.read(self._entries, _filter(sought), wanted, entry_of)

    async def documents(self, *, after: int = 0, most: int = 0) -> AsyncIterator[Document]:
        """As they are, whoever made them; by number, also those whose key is no number. `most`: 0 is all."""
        beyond: Document = {"_id": {"$not": {"$lte": after}}} if after else {}
        async for document in self._entries.find(beyond).sort("_id", ASCENDING).limit(most):
            yield document


def entry_of(document: Document) -> Entry:
    """Raises `msgspec.ValidationError` for what the hub has not written."""
    return msgspec.convert({**document, "seq": document["_id"]}, Entry)


def _document(entry: Entry) -> Document:
    document: Document = msgspec.to_builtins(entry)
    document["_id"] = document.pop("seq")
    return document


def _filter(sought: Sought) -> Document:
    """Values are compared, never taken for operators."""
    exact = {"actor": sought.actor, "action": sought.action, "subject": sought.subject, "refused": sought.refused}
    where: Document = {name: {"$eq": value} for name, value in exact.items() if value is not None}
    times = {"$gte": sought.since, "$lt": sought.until}
    bounds = {operator: at for operator, at in times.items() if at is not None}
    return {**where, "at": bounds} if bounds else where
