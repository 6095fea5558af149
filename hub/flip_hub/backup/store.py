"""Whole collections out of and into the registry, as BSON: nothing of their content is looked at."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from flip_hub.mongo import Database, Document
from flip_hub.registry.collection import Collection, Index
from flip_wire.models import Sha256

AT_ONCE = 1000
"""Documents of one batch, at most; MongoDB ends one at 16 MiB."""
_NAMED: Sequence[tuple[str, str, str]] = (
    ("artifacts", "model_versions", "artifacts"),
    ("artifacts", "apps", "fab_hash"),
    ("datasets", "datasets", "sha256"),
    ("late", "late", "objects"),
    ("late", "late", "reply"),
)
"""Folder, collection and field of what names a file."""
FOLDERS = sorted({folder for folder, _, _ in _NAMED})
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


class BackupStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def batches(self, collection: Collection) -> AsyncIterator[bytes]:
        """All documents, each once, in the order of their ids; those of a time series as they lie."""
        found = self._database[collection.name].find_raw_batches({}, batch_size=AT_ONCE)
        async for batch in found if collection.series else found.sort("_id", 1):
            if batch:
                yield batch

    async def insert(self, collection: str, documents: bytes) -> None:
        await self._database[collection].insert_many(bson.decode_all(documents, _RAW), ordered=False)

    async def is_empty(self) -> bool:
        for name in await self._collections():
            if await self._database[name].find_one({}, {"_id": 1}) is not None:
                return False
        return True

    async def clear(self) -> None:
        """Deletes all of them."""
        for name in await self._collections():
            await self._database[name].drop()

    async def supersede(self, collection: Collection) -> int:
        """Of documents that claim one place, the one that was copied last keeps it: a hub changed them in between.

        The others lose the field, where a document may be without it, or go. Says how many there were.
        """
        changed = 0
        for index in collection.indexes:
            if index.unique:
                changed += await self._supersede(collection.name, index)
        return changed

    async def artifacts(self) -> AsyncIterator[tuple[str, Sha256]]:
        """The folder and the hash of each file that the registry names."""
        for folder, collection, field in _NAMED:
            stages = [{"$unwind": f"${field}"}, {"$group": {"_id": f"${field}"}}]
            async for found in self._database[collection].aggregate(stages, allowDiskUse=True):
                yield folder, Sha256(found["_id"])

    async def _supersede(self, name: str, index: Index) -> int:
        fields = [field for field, _ in index.keys]
        key = {str(place): f"${field}" for place, field in enumerate(fields)}
        there: Document = {field: {"$exists": True} for field in fields} if index.sparse else {}
        group: dict[str, Any] = {"_id": key, "ids": {"$push": "$_id"}, "count": {"$sum": 1}}
        stages = [
            {"$match": {**there, **(index.where or {})}},
            {"$sort": {"_id": 1}},
            {"$group": group},
            {"$match": {"count": {"$gt": 1}}},
        ]
        changed = 0
        async for found in self._database[name].aggregate(stages, allowDiskUse=True):
            older = {"_id": {"$in": found["ids"][:-1]}}
            changed += len(found["ids"]) - 1
            if index.sparse:
                await self._database[name].update_many(older, {"$unset": dict.fromkeys(fields, "")})
            else:
                await self._database[name].delete_many(older)
        return changed

    async def _collections(self) -> list[str]:
        """But the one that says of which version all this is."""
        names = await self._database.list_collection_names()
        return [name for name in names if name != "registry" and not name.startswith("system.")]
