"""Receipts and late contributions in MongoDB: collections `instructions`, `late`, and `late_dropped` by run."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from pymongo import ASCENDING, DESCENDING, UpdateOne

from flip_hub.contributions.schemas import Instructed, LateRecord
from flip_hub.mongo import Database, Document
from flip_wire.contributions import Fate
from flip_wire.models import Sha256

KEPT = 90 * 24 * 3600
"""Seconds that it is known what became of a reply: a device may come back after a long time without a network."""


class ContributionStore:
    def __init__(self, database: Database) -> None:
        self._instructions = database["instructions"]
        self._late = database["late"]
        self._dropped = database["late_dropped"]

    async def ensure_indexes(self) -> None:
        await self._instructions.create_index([("at", ASCENDING)], expireAfterSeconds=KEPT)
        await self._late.create_index([("run_id", ASCENDING), ("contribution.kept_at", DESCENDING)])
        await self._late.create_index([("contribution.kept_at", ASCENDING)])
        await self._late.create_index([("objects", ASCENDING)])

    # ---- what became of replies ----

    async def instructed(self, sent: Sequence[Instructed]) -> None:
        """Those that are known already stay as they are: reports may come twice."""
        if sent:
            await self._instructions.bulk_write([UpdateOne(*_once(each), upsert=True) for each in sent], ordered=False)

    async def settle(self, settled: Sequence[Instructed]) -> None:
        """The first word about a reply is the last."""
        await self.instructed(settled)
        for each in settled:
            change = {"$set": {"fate": each.fate, "reason": each.reason}}
            await self._instructions.update_one({"_id": each.message_id, "fate": Fate.PENDING}, change)

    async def instruction(self, message_id: str) -> Instructed | None:
        found = await self._instructions.find_one({"_id": message_id})
        return None if found is None else msgspec.convert(found, Instructed)

    async def instructions(self, message_ids: Sequence[str]) -> list[Instructed]:
        """Those that are known."""
        found = self._instructions.find({"_id": {"$in": list(message_ids)}})
        return [msgspec.convert(document, Instructed) async for document in found]

    # ---- late contributions ----

    async def keep(self, record: LateRecord) -> LateRecord:
        """The one that is kept: the first for this message of this device."""
        key = record.contribution.message_id
        await self._late.update_one({"_id": key}, {"$setOnInsert": msgspec.to_builtins(record)}, upsert=True)
        return msgspec.convert(await self._late.find_one({"_id": key}), LateRecord)

    async def replace(self, record: LateRecord) -> None:
        key = record.contribution.message_id
        await self._late.replace_one({"_id": key}, msgspec.to_builtins(record))

    async def late(self, message_id: str) -> LateRecord | None:
        found = await self._late.find_one({"_id": message_id})
        return None if found is None else msgspec.convert(found, LateRecord)

    async def late_of_run(self, run_id: str) -> list[LateRecord]:
        """Newest first, those that are not whole too."""
        found = self._late.find({"run_id": run_id}).sort("contribution.kept_at", DESCENDING)
        return [msgspec.convert(document, LateRecord) async for document in found]

    async def oldest_late(self) -> LateRecord | None:
        found = await self._late.find_one({}, sort=[("contribution.kept_at", ASCENDING)])
        return None if found is None else msgspec.convert(found, LateRecord)

    async def late_bytes(self) -> int:
        total = {"$group": {"_id": None, "size": {"$sum": "$contribution.size"}}}
        found = [document async for document in self._late.aggregate([total])]
        return found[0]["size"] if found else 0

    async def late_count(self) -> int:
        return await self._late.count_documents({})

    async def drop(self, record: LateRecord) -> None:
        """Counts one that was whole."""
        await self._late.delete_one({"_id": record.contribution.message_id})
        if record.whole:
            await self._dropped.update_one({"_id": record.run_id}, {"$inc": {"count": 1}}, upsert=True)

    async def dropped(self, run_id: str) -> int:
        found = await self._dropped.find_one({"_id": run_id})
        return 0 if found is None else found["count"]

    async def wants(self, sha256: Sha256) -> bool:
        """Whether a late contribution consists of that object."""
        return await self._late.find_one({"$or": [{"objects": sha256}, {"reply": sha256}]}) is not None


def _once(instructed: Instructed) -> tuple[Document, Document]:
    document = {**msgspec.to_builtins(instructed), "fate": Fate.PENDING.value, "reason": "", "at": datetime.now(UTC)}
    return {"_id": instructed.message_id}, {"$setOnInsert": document}
