"""Events from devices, in MongoDB: each once, for a week."""

from datetime import UTC, datetime

from bson import Binary
from msgspec import Raw
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import BulkWriteError

from flip_hub.mongo import Database, Document
from flip_hub.telemetry.schemas import StoredEvent
from flip_wire.fleet import DeviceId
from flip_wire.telemetry import Batch, Event, Priority, Seq, Stamp

KEPT = 7 * 24 * 3600
"""Seconds."""
_DUPLICATE = 11000


class EventStore:
    """Collection `events`. Bodies stay the JSON they came as: no device can name a field of the registry."""

    def __init__(self, database: Database) -> None:
        self._events = database["events"]

    async def ensure_indexes(self) -> None:
        key = [("device", ASCENDING), ("epoch", ASCENDING), ("seq", ASCENDING)]
        await self._events.create_index(key, unique=True)
        await self._events.create_index([("device", ASCENDING), ("received", DESCENDING), ("seq", DESCENDING)])
        await self._events.create_index([("received", ASCENDING)], expireAfterSeconds=KEPT)

    async def insert(self, device_id: DeviceId, batch: Batch) -> None:
        """Those that are there already stay as they are. On return all of them are on disk."""
        received = datetime.now(UTC)
        documents = [_document(device_id, batch, event, received) for event in batch.events]
        try:
            await self._events.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if any(failure["code"] != _DUPLICATE for failure in error.details["writeErrors"]):
                raise

    async def newest(self, device_id: DeviceId, limit: int) -> list[StoredEvent]:
        found = self._events.find({"device": device_id}).sort([("received", DESCENDING), ("seq", DESCENDING)])
        return [_event(document) async for document in found.limit(limit)]


def _document(device_id: DeviceId, batch: Batch, event: Event, received: datetime) -> Document:
    return {
        "device": device_id,
        "epoch": batch.epoch,
        "seq": event.seq,
        "priority": int(batch.priority),
        "kind": event.kind,
        "wall": event.at.wall,
        "monotonic": event.at.monotonic,
        "boot_id": event.at.boot_id,
        "received": received,
        "body": Binary(bytes(event.body)),
    }


def _event(document: Document) -> StoredEvent:
    at = Stamp(wall=document["wall"], monotonic=document["monotonic"], boot_id=document["boot_id"])
    return StoredEvent(
        epoch=document["epoch"],
        seq=Seq(document["seq"]),
        priority=Priority(document["priority"]),
        kind=document["kind"],
        at=at,
        received_at=document["received"].replace(tzinfo=UTC).timestamp(),
        body=Raw(document["body"]),
    )
