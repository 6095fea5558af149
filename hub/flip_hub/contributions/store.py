"""Receipts and late contributions in MongoDB: collections `instructions`, `late`, `late_made_room` (the messages of
those that were dropped), and `late_dropped` (how many, by run)."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from pymongo import ASCENDING, DESCENDING, UpdateOne

from flip_hub.api.pages import Order, Page, Wanted
from flip_hub.contributions.room import Upload
from flip_hub.contributions.schemas import Contributor, Instructed, LateContribution, LateRecord, RoundTraffic
from flip_hub.federation.schemas import Phase
from flip_hub.mongo import Database, Document
from flip_hub.receipts.chain import ReceiptEntry
from flip_wire.contributions import Fate
from flip_wire.fleet import DeviceId
from flip_wire.models import Sha256

_ROUNDS = Order(("round", DESCENDING), ("_id", ASCENDING))
_LATEST = Order(("sent_at", DESCENDING), ("_id", ASCENDING))
_OLDEST = [("contribution.kept_at", ASCENDING), ("_id", ASCENDING)]
_NEWEST = Order(("contribution.kept_at", DESCENDING), ("_id", DESCENDING))


class ContributionStore:
    def __init__(self, database: Database) -> None:
        self._instructions = database["instructions"]
        self._late = database["late"]
        self._dropped = database["late_dropped"]
        self._made_room = database["late_made_room"]

    # ---- what became of replies ----

    async def instructed(self, sent: Sequence[Instructed]) -> None:
        """Those that are known already stay as they are: reports may come twice."""
        if sent:
            await self._instructions.bulk_write([UpdateOne(*_once(each), upsert=True) for each in sent], ordered=False)

    async def settle(self, settled: Sequence[Instructed]) -> None:
        """The first word about a reply is the last."""
        changes = [change for each in settled for change in _settling(each)]
        if changes:
            await self._instructions.bulk_write(changes, ordered=True)

    async def settle_pending(self, flower_run_ids: Sequence[str], reason: str) -> None:
        """What nobody has said a word about is late."""
        pending = {"flower_run_id": {"$in": list(flower_run_ids)}, "fate": Fate.PENDING}
        await self._instructions.update_many(pending, {"$set": {"fate": Fate.LATE, "reason": reason}})

    async def unchained(self, flower_run_ids: Sequence[str], most: int, all_settled: bool) -> list[Instructed]:
        """Settled and without an entry in the run's chain, in the order of their rounds; without `all_settled` only
        those that the ServerApp has told of."""
        where: Document = {"flower_run_id": {"$in": list(flower_run_ids)}, "entry": 0, "fate": {"$ne": Fate.PENDING}}
        if not all_settled:
            where["told"] = True
        found = self._instructions.find(where).sort([("round", ASCENDING), ("_id", ASCENDING)]).limit(most)
        return [msgspec.convert(document, Instructed) async for document in found]

    async def chained(self, entries: Sequence[ReceiptEntry]) -> None:
        places = [{"entry": entry.seq, "hash": entry.hash} for entry in entries]
        changes = [
            UpdateOne({"_id": entry.message_id}, {"$set": place}) for entry, place in zip(entries, places, strict=True)
        ]
        if changes:
            await self._instructions.bulk_write(changes, ordered=False)

    async def of_run(
        self,
        flower_run_ids: Sequence[str],
        wanted: Wanted,
        device_id: DeviceId | None = None,
        phase: str | None = None,
    ) -> Page[Instructed]:
        """The newest round first."""
        exact = {"device_id": device_id, "phase": phase}
        where: Document = {name: {"$eq": value} for name, value in exact.items() if value is not None}
        where["flower_run_id"] = {"$in": list(flower_run_ids)}
        return await _ROUNDS.read(self._instructions, where, wanted, lambda found: msgspec.convert(found, Instructed))

    async def of_device(self, device_id: DeviceId, wanted: Wanted) -> Page[Instructed]:
        """Of all runs, the newest first."""
        where = {"device_id": device_id}
        return await _LATEST.read(self._instructions, where, wanted, lambda found: msgspec.convert(found, Instructed))

    async def traffic(self, flower_run_ids: Sequence[str]) -> list[RoundTraffic]:
        """Of each round of which something is known, the first one first."""
        pipeline = [
            {"$match": {"flower_run_id": {"$in": list(flower_run_ids)}, "round": {"$gt": 0}}},
            {
                "$group": {
                    "_id": "$round",
                    "replies": {"$sum": {"$cond": [{"$gt": ["$content.size", None]}, 1, 0]}},
                    "size": {"$sum": "$content.size"},
                }
            },
            {"$sort": {"_id": 1}},
        ]
        found = self._instructions.aggregate(pipeline)
        return [msgspec.convert({**each, "round": each["_id"]}, RoundTraffic) async for each in found]

    async def contributors(self, flower_run_ids: Sequence[str], until: int, most: int) -> list[Contributor]:
        """To the results of a run's rounds up to that one, who brought most first."""
        numbers = {"$in": list(flower_run_ids)}
        given = {"flower_run_id": numbers, "phase": Phase.TRAIN, "fate": Fate.ACCEPTED, "error": ""}
        taken = {"$cond": [{"$gt": ["$taken", 0]}, "$taken", "$round"]}
        last = {"$cond": [{"$eq": [taken, until]}, "$content.weight", None]}
        each: Document = {
            "_id": "$device_id",
            "rounds": {"$sum": 1},
            "weight": {"$sum": "$content.weight"},
            "last_weight": {"$max": last},
            "size": {"$sum": "$content.size"},
        }
        stages: list[Document] = [
            {"$match": {**given, "round": {"$gte": 1, "$lte": until}, "$expr": {"$lte": [taken, until]}}},
            {"$group": each},
            {"$sort": {"weight": -1, "_id": 1}},
            {"$limit": most},
        ]
        found = self._instructions.aggregate(stages)
        return [msgspec.convert({**one, "device_id": one["_id"]}, Contributor) async for one in found]

    async def examples(self, flower_run_ids: Sequence[str]) -> dict[DeviceId, float]:
        """Of each device's newest result in these runs: on how many it stood."""
        given = {"flower_run_id": {"$in": list(flower_run_ids)}, "phase": Phase.TRAIN, "content.weight": {"$gt": 0}}
        stages: list[Document] = [
            {"$match": given},
            {"$sort": {"received_at": 1}},
            {"$group": {"_id": "$device_id", "weight": {"$last": "$content.weight"}}},
        ]
        return {DeviceId(each["_id"]): each["weight"] async for each in self._instructions.aggregate(stages)}

    async def kept_late(self, message_ids: Sequence[str]) -> dict[str, LateContribution]:
        """Of these messages."""
        found = self._late.find({"_id": {"$in": list(message_ids)}, "whole": True}, {"contribution": 1})
        return {each["_id"]: _contribution(each) async for each in found}

    async def instruction(self, message_id: str) -> Instructed | None:
        found = await self._instructions.find_one({"_id": message_id})
        return None if found is None else msgspec.convert(found, Instructed)

    async def instructions(self, message_ids: Sequence[str]) -> list[Instructed]:
        """Those that are known."""
        found = self._instructions.find({"_id": {"$in": list(message_ids)}})
        return [msgspec.convert(document, Instructed) async for document in found]

    # ---- late contributions ----

    async def add(self, record: LateRecord) -> None:
        key = record.contribution.message_id
        await self._late.insert_one({"_id": key, **msgspec.to_builtins(record)})

    async def replace(self, record: LateRecord) -> None:
        key = record.contribution.message_id
        await self._late.replace_one({"_id": key}, msgspec.to_builtins(record))

    async def progress(self, message_id: str, now: float) -> bool:
        """False when there is no such record any more."""
        changed = await self._late.update_one({"_id": message_id}, {"$set": {"progress_at": now}})
        return changed.matched_count > 0

    async def late(self, message_id: str) -> LateRecord | None:
        return _late(await self._late.find_one({"_id": message_id}))

    async def uploads(self) -> list[Upload]:
        """Those that are not whole."""
        fields = {
            "contribution.message_id": 1,
            "contribution.device_id": 1,
            "run_id": 1,
            "declared": 1,
            "progress_at": 1,
        }
        found = self._late.find({"whole": False}, fields)
        return [msgspec.convert({**each["contribution"], **each}, Upload) async for each in found]

    async def uploading(self, device_id: DeviceId, sha256: Sha256) -> LateRecord | None:
        """One of that device that is not whole and consists of that object."""
        key = {"objects": sha256, "whole": False, "contribution.device_id": device_id}
        return _late(await self._late.find_one(key))

    async def late_of_run(self, run_id: str) -> list[LateRecord]:
        """The whole ones, newest first."""
        found = self._late.find({"run_id": run_id, "whole": True}).sort(_NEWEST.sort)
        return [msgspec.convert(document, LateRecord) async for document in found]

    async def late_page(self, run_id: str, wanted: Wanted) -> Page[LateContribution]:
        """Of the whole ones, newest first."""
        where = {"run_id": run_id, "whole": True}
        return await _NEWEST.read(self._late, where, wanted, _contribution)

    async def oldest_late(self, but: str) -> LateRecord | None:
        """Of the whole ones, but not that message's."""
        return _late(await self._late.find_one({"whole": True, "_id": {"$ne": but}}, sort=_OLDEST))

    async def late_bytes(self) -> int:
        """Of the whole ones."""
        total = {"$group": {"_id": None, "size": {"$sum": "$contribution.size"}}}
        found = [document async for document in self._late.aggregate([{"$match": {"whole": True}}, total])]
        return found[0]["size"] if found else 0

    async def late_count(self) -> int:
        return await self._late.count_documents({"whole": True})

    async def forget(self, record: LateRecord) -> None:
        """One that was not whole."""
        await self._late.delete_one({"_id": record.contribution.message_id})

    async def drop(self, record: LateRecord) -> None:
        """One that was whole: it is counted, once, and stays known."""
        key = record.contribution.message_id
        known = {"$setOnInsert": {"at": datetime.now(UTC)}}
        await self._made_room.update_one({"_id": key}, known, upsert=True)
        if (await self._late.delete_one({"_id": key})).deleted_count:
            await self._dropped.update_one({"_id": record.run_id}, {"$inc": {"count": 1}}, upsert=True)

    async def made_room(self, message_id: str) -> bool:
        return await self._made_room.find_one({"_id": message_id}) is not None

    async def dropped(self, run_id: str) -> int:
        found = await self._dropped.find_one({"_id": run_id})
        return 0 if found is None else found["count"]

    async def wants(self, sha256: Sha256) -> bool:
        """Whether a late contribution consists of that object."""
        return await self._late.find_one({"$or": [{"objects": sha256}, {"reply": sha256}]}) is not None

    async def wanted(self) -> set[Sha256]:
        """All that they consist of."""
        found = self._late.find({}, {"objects": 1, "reply": 1})
        return {Sha256(sha256) async for each in found for sha256 in (each["reply"], *each["objects"])}


def _late(document: Document | None) -> LateRecord | None:
    return None if document is None else msgspec.convert(document, LateRecord)


def _contribution(document: Document) -> LateContribution:
    return msgspec.convert(document["contribution"], LateContribution)


def _settling(settled: Instructed) -> list[UpdateOne]:
    fate = {"fate": settled.fate, "reason": settled.reason}
    changes = [
        UpdateOne(*_once(settled), upsert=True),
        UpdateOne({"_id": settled.message_id, "fate": Fate.PENDING}, {"$set": fate}),
    ]
    if settled.received_at is not None:
        values = msgspec.to_builtins(settled)
        reply = {name: values[name] for name in ("received_at", "error", "content")}
        changes.append(UpdateOne({"_id": settled.message_id, "received_at": None}, {"$set": reply}))
    if settled.told:
        untold = {"_id": settled.message_id, "fate": settled.fate, "told": False}
        changes.append(UpdateOne(untold, {"$set": {"told": True, "share": settled.share, "taken": settled.taken}}))
    return changes


def _once(instructed: Instructed) -> tuple[Document, Document]:
    pending = {"fate": Fate.PENDING.value, "reason": "", "share": None, "told": False}
    document = {**msgspec.to_builtins(instructed), **pending, "at": datetime.now(UTC)}
    return {"_id": instructed.message_id}, {"$setOnInsert": document}
