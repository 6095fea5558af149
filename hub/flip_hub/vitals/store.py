"""Health samples in MongoDB: the latest of a device with its record, all earlier ones in a time series.

A sample is written to the record in the same update that counts its event, so it is there exactly once: packed, for
MongoDB looks at every field of what it updates. When a record has `SAVED_AT_ONCE` of them, they go to the time series
in one insert, which costs a third of as many single ones. A time series has no unique index: samples that a crash in
between left in both places are told by their epoch and number, and read once (`docs/decisions/35-heartbeats.md`).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from flip_hub.mongo import Database, Document
from flip_hub.vitals.sample import Sample
from flip_hub.vitals.schemas import HealthPoint
from flip_wire.fleet import DeviceId

_PACK = msgspec.msgpack.Encoder()
_UNPACK = msgspec.msgpack.Decoder(Sample)
SAVED_AT_ONCE = 10
FIELD = "samples"
"""Of a device's record: those that are not in the time series yet."""
_LATEST = 2.0**32 - 1
"""Asked for what happened before a later moment, MongoDB 6 finds nothing in a time series."""


class HealthStore:
    """Collection `health`, and the field `samples` of `devices`."""

    def __init__(self, database: Database) -> None:
        self._health = database["health"]
        self._devices = database["devices"]

    async def save(self, new: Mapping[DeviceId, Sequence[Sample]]) -> None:
        """Adds to the time series what the records of these devices hold, and then these; the records stay as they are.

        On return all of it is on disk.
        """
        found = self._devices.find({"_id": {"$in": list(new)}}, {FIELD: 1})
        documents = [
            {**_unpacked(sample), "device": each["_id"]} async for each in found for sample in each.get(FIELD, [])
        ]
        documents += [{**_document(each), "device": device} for device, samples in new.items() for each in samples]
        if documents:
            await self._health.insert_many(documents, ordered=False)

    async def points(self, device_id: DeviceId, since: float, until: float, step: float) -> list[HealthPoint]:
        """Of each step in which there are samples, the oldest first."""
        record = await self._devices.find_one({"_id": device_id}, {FIELD: 1}) or {}  # before what it may go to
        unsaved = [_unpacked(sample) for sample in record.get(FIELD, [])]
        during = {"at": {"$gte": _moment(since), "$lt": _moment(min(until, _LATEST))}}
        pipeline: list[dict[str, Any]] = [
            {"$match": {"device": device_id, **during}},
            {"$unionWith": {"pipeline": [{"$documents": unsaved}, {"$match": during}]}},
            {"$group": {"_id": {"epoch": "$epoch", "seq": "$seq"}, "sample": {"$first": "$$ROOT"}}},
            {"$replaceWith": "$sample"},
            {"$group": {"_id": _step_of("$at", step), "samples": {"$sum": 1}, **_FIGURES}},
            {"$sort": {"_id": 1}},
        ]
        return [_point(found) async for found in self._health.aggregate(pipeline)]


def packed(sample: Sample) -> bytes:
    """As a record holds it."""
    return _PACK.encode(sample)


def _unpacked(sample: bytes | Document) -> Document:
    """A hub of schema version 3 kept documents."""
    return _document(_UNPACK.decode(sample)) if isinstance(sample, bytes) else sample


def _document(sample: Sample) -> Document:
    return msgspec.structs.asdict(sample)


_FIGURES = {
    "uptime": {"$max": "$uptime"},
    "rss": {"$max": "$rss"},
    "load": {"$avg": "$load"},
    "load_max": {"$max": "$load"},
    "disk_free": {"$min": "$disk_free"},
    "outbox_depth": {"$max": "$outbox_depth"},
    "dropped": {"$max": "$dropped"},
    "clock_offset": {"$avg": "$clock_offset"},
    "temperature": {"$avg": "$temperature"},
    "temperature_max": {"$max": "$temperature"},
    "memory_available": {"$min": "$memory_available"},
    "conditions": {"$push": "$conditions"},
}


def _step_of(at: str, step: float) -> Document:
    seconds = {"$divide": [{"$toLong": at}, 1000]}
    return {"$multiply": [{"$floor": {"$divide": [seconds, step]}}, step]}


def _point(found: Document) -> HealthPoint:
    codes = sorted({code for held in found["conditions"] for code in held})
    return msgspec.convert({**found, "at": found["_id"], "conditions": codes}, HealthPoint)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
