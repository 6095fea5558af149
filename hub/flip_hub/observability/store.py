"""What is exported of the registry, and what is counted in it; each count is one aggregation that MongoDB makes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from motor.motor_asyncio import AsyncIOMotorCollection
from msgspec import Struct
from pymongo import DESCENDING

from flip_hub.devices.schemas import DeviceStatus
from flip_hub.devices.status import SILENT_HEARTBEATS
from flip_hub.federation.schemas import Run
from flip_hub.mongo import Database, Document
from flip_wire.fleet import DeviceId
from flip_wire.health import Severity
from flip_wire.spans import Span

_RECENT = 7 * 24 * 3600
"""Seconds; a run that began earlier is not looked at any more."""
_RUNS = 200


class WaitingSpans(Struct, frozen=True, kw_only=True):
    """Of one event of a device."""

    key: object
    """The registry's."""
    device_id: DeviceId
    flower_run_id: str
    message_id: str
    spans: list[Span]


class TraceStore:
    """Reads `spans`, `runs` and `instructions`; what was exported is noted in `spans` and `exported_runs`."""

    def __init__(self, database: Database) -> None:
        self._spans = database["spans"]
        self._runs = database["runs"]
        self._instructions = database["instructions"]
        self._exported = database["exported_runs"]

    async def waiting_spans(self, limit: int) -> list[WaitingSpans]:
        """The oldest that are not exported."""
        found = self._spans.find({"exported": None}).sort([("exported", 1), ("received", 1)]).limit(limit)
        return [_waiting(document) async for document in found]

    async def spans_exported(self, keys: Sequence[object]) -> None:
        await self._spans.update_many({"_id": {"$in": list(keys)}}, {"$set": {"exported": True}})

    async def ended_runs(self, now: float) -> list[Run]:
        """Those that are not exported, of the last week."""
        recent = {"started_at": {"$gte": now - _RECENT}, "finished_at": {"$ne": None}}
        found = [d async for d in self._runs.find(recent).sort("started_at", DESCENDING).limit(_RUNS)]
        exported = self._exported.find({"_id": {"$in": [document["_id"] for document in found]}})
        known = {document["_id"] async for document in exported}
        return [msgspec.convert(document, Run) for document in found if document["_id"] not in known]

    async def run_exported(self, run_id: str) -> None:
        await self._exported.update_one({"_id": run_id}, {"$set": {"at": datetime.now(UTC)}}, upsert=True)

    async def runs_of_flower(self, flower_run_ids: Sequence[str]) -> dict[str, Run]:
        found = self._runs.find({"flower_run_id": {"$in": list(flower_run_ids)}}).sort("started_at", 1)
        return {document["flower_run_id"]: msgspec.convert(document, Run) async for document in found}

    async def rounds_of(self, message_ids: Sequence[str]) -> dict[str, int]:
        """In which round each message was written."""
        found = self._instructions.find({"_id": {"$in": list(message_ids)}}, {"round": 1})
        return {document["_id"]: document["round"] async for document in found}


def _waiting(document: Document) -> WaitingSpans:
    return WaitingSpans(
        key=document["_id"],
        device_id=document["device"],
        flower_run_id=document["run"],
        message_id=document["message"],
        spans=msgspec.json.decode(document["spans"], type=list[Span]),
    )


Labelled = dict[tuple[str, ...], float]


class Counts(Struct, frozen=True, kw_only=True):
    devices: Labelled = {}
    backlog: int = 0
    dropped: int = 0
    runs: Labelled = {}
    rounds: int = 0
    alerts: Labelled = {}


class CensusStore:
    """Reads `devices`, `runs`, `rounds` and `alerts`."""

    def __init__(self, database: Database, heartbeat: float) -> None:
        self._devices = database["devices"]
        self._runs = database["runs"]
        self._rounds = database["rounds"]
        self._alerts = database["alerts"]
        self._heartbeat = heartbeat

    async def count(self, now: float) -> Counts:
        devices = await _grouped(self._devices, [_by_status(now - SILENT_HEARTBEATS * self._heartbeat)])
        runs = await _grouped(self._runs, [{"$group": {"_id": "$status", "count": {"$sum": 1}}}])
        open_ones = {"$match": {"resolved_at": None}}
        alerts = await _grouped(self._alerts, [open_ones, {"$group": {"_id": "$severity", "count": {"$sum": 1}}}])
        return Counts(
            devices={(status,): float(devices.get(status, {}).get("count", 0)) for status in DeviceStatus},
            backlog=sum(each["backlog"] for each in devices.values()),
            dropped=sum(each["dropped"] for each in devices.values()),
            runs={(status,): float(found["count"]) for status, found in runs.items()},
            rounds=await self._rounds.estimated_document_count(),
            alerts={(severity,): float(alerts.get(severity, {}).get("count", 0)) for severity in Severity},
        )


async def _grouped(collection: AsyncIOMotorCollection[Document], steps: list[Document]) -> Mapping[str, Document]:
    return {found["_id"]: found async for found in collection.aggregate(steps)}


def _by_status(silent_since: float) -> Document:
    """As `DeviceRecord.status` decides."""
    ill = {"$in": ["$$c", [Severity.WARNING, Severity.CRITICAL]]}
    conditions: Any = {"$ifNull": ["$health.conditions.severity", []]}
    cases = [
        {"case": {"$gt": ["$revoked_at", None]}, "then": DeviceStatus.REVOKED},
        {"case": {"$lt": [{"$ifNull": ["$last_seen", 0]}, silent_since]}, "then": DeviceStatus.UNKNOWN},
        {
            "case": {"$anyElementTrue": [{"$map": {"input": conditions, "as": "c", "in": ill}}]},
            "then": DeviceStatus.UNHEALTHY,
        },
    ]
    return {
        "$group": {
            "_id": {"$switch": {"branches": cases, "default": DeviceStatus.OK}},
            "count": {"$sum": 1},
            "backlog": {"$sum": "$health.outbox_depth"},
            "dropped": {"$sum": "$intake.dropped"},
        }
    }
