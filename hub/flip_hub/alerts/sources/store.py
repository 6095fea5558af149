"""What the rules need of the registry: MongoDB looks at every device, and gives only those that pass a threshold."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from flip_hub.alerts.facts import DeviceFacts, LossFacts, RollbackFacts, RolloutFacts, RunFacts, TokenFacts
from flip_hub.alerts.rules import RECENTLY
from flip_hub.mongo import Database, Document
from flip_hub.settings import AlertsSection
from flip_wire.health import Severity
from flip_wire.models import RolledBack

LATELY = 3600.0
"""Seconds in which losses, rollbacks and failures are news."""
_MOST = 20_000
"""Of each kind; what is beyond that is not looked at."""
_MIB = 2**20
_DAY = 86400.0
_ACTIVE = ("pending", "running")
_LOGIN = "POST /api/v1/auth/login"
_SHOWN = {
    "name": 1, "tags": 1, "last_seen": 1, "mode": "$reported.mode", "disk_free": "$health.disk_free",
    "backlog": "$health.outbox_depth", "clone": "$clone.since",
    "critical": {
        "$map": {
            "input": {
                "$filter": {
                    "input": {"$ifNull": ["$health.conditions", []]},
                    "as": "each",
                    "cond": {"$eq": ["$$each.severity", Severity.CRITICAL]},
                }
            },
            "as": "each",
            "in": "$$each.title",
        }
    },
}  # fmt: skip


class SourceStore:
    """Reads `devices`, `gaps`, `events`, `rollouts`, `runs`, `rounds`, `api_tokens` and `audit`."""

    def __init__(self, database: Database, limits: AlertsSection) -> None:
        self._database = database
        self._limits = limits

    async def devices(self, now: float) -> list[DeviceFacts]:
        """Those that are not revoked and pass a threshold."""
        limits = self._limits
        suspicious: list[Document] = [
            {"last_seen": {"$lt": now - limits.device_silent}},
            {"health.outbox_depth": {"$gte": limits.device_backlog}},
            {"health.disk_free": {"$lt": limits.device_disk * _MIB}},
            {"reported.mode": {"$nin": [None, "normal"]}},
            {"clone": {"$ne": None}},
            {"health.conditions.severity": Severity.CRITICAL},
        ]
        return await self._device_facts({"revoked_at": {"$exists": False}, "$or": suspicious})

    async def named(self, device_ids: list[str]) -> dict[str, DeviceFacts]:
        found = await self._device_facts({"_id": {"$in": device_ids}}) if device_ids else []
        return {device.id: device for device in found}

    async def losses(self, now: float) -> list[LossFacts]:
        """By device."""
        steps: list[Document] = [
            {"$match": {"declared": {"$gte": _moment(now - LATELY)}}},
            {"$group": {"_id": "$device", "count": {"$sum": "$count"}, "reason": {"$last": "$reason"}}},
            {"$limit": _MOST},
        ]
        found = self._database["gaps"].aggregate(steps)
        return [LossFacts(device_id=each["_id"], count=each["count"], reason=each["reason"]) async for each in found]

    async def rollbacks(self, now: float) -> list[RollbackFacts]:
        recent = {"kind": "rollback", "received": {"$gte": _moment(now - LATELY)}}
        found = self._database["events"].find(recent).sort("received", -1).limit(_MOST)
        return [_rollback(document) async for document in found]

    async def rollouts(self, now: float) -> list[RolloutFacts]:
        """Rolled back lately, by no person."""
        lately = {"rollout.status": "rolled back", "rollout.ended_at": {"$gte": now - LATELY}}
        found = self._database["rollouts"].find({**lately, "rollout.rings.state": "failed"}).limit(_MOST)
        return [msgspec.convert(each["rollout"], RolloutFacts) async for each in found]

    async def runs(self, now: float) -> list[RunFacts]:
        """Under way, or failed lately."""
        failed = {"status": "failed", "finished_at": {"$gte": now - LATELY}}
        wanted: Document = {"$or": [{"status": {"$in": _ACTIVE}}, failed]}
        documents = [each async for each in self._database["runs"].find(wanted).limit(_MOST)]
        moved = await self._moved([document["_id"] for document in documents])
        return [_run(document, moved.get(document["_id"], 0.0)) for document in documents]

    async def tokens(self, now: float) -> list[TokenFacts]:
        """That end within the days of the setting, and have not yet."""
        soon = {"expires_at": {"$gt": now, "$lt": now + self._limits.token_days * _DAY}}
        found = self._database["api_tokens"].find(soon).limit(_MOST)
        return [msgspec.convert({**each, "id": each["_id"]}, TokenFacts) async for each in found]

    async def refused_logins(self, now: float) -> int:
        refused = {"at": {"$gte": now - RECENTLY}, "action": _LOGIN, "refused": True}
        return await self._database["audit"].count_documents(refused, limit=_MOST)

    async def _device_facts(self, match: Document) -> list[DeviceFacts]:
        steps: list[Document] = [{"$match": match}, {"$limit": _MOST}, {"$project": _SHOWN}]
        return [_device(each) async for each in self._database["devices"].aggregate(steps)]

    async def _moved(self, run_ids: list[str]) -> dict[str, float]:
        """When each run's last round began or ended."""
        latest = {"$max": ["$started_at", {"$ifNull": ["$finished_at", 0]}]}
        steps: list[Document] = [
            {"$match": {"run_id": {"$in": run_ids}}},
            {"$group": {"_id": "$run_id", "moved": {"$max": latest}}},
        ]
        return {each["_id"]: each["moved"] async for each in self._database["rounds"].aggregate(steps)}


def _device(document: Document) -> DeviceFacts:
    told: dict[str, Any] = {name: value for name, value in document.items() if value is not None}
    return msgspec.convert({**told, "id": document["_id"], "clone": document.get("clone") is not None}, DeviceFacts)


def _run(document: Document, moved: float) -> RunFacts:
    return RunFacts(
        id=document["_id"],
        app=document["app"],
        ended=document["status"] not in _ACTIVE,
        failed=document["status"] == "failed",
        reason=document["reason"],
        moved_at=max(document["started_at"], moved),
    )


def _rollback(document: Document) -> RollbackFacts:
    told = msgspec.json.decode(document["body"], type=RolledBack)
    return RollbackFacts(
        device_id=document["device"],
        model=told.model,
        version=told.version,
        to_version=told.to_version,
        reason=told.reason,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
