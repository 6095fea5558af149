"""Rollouts in MongoDB, and what devices have told of the versions that they are about.

Collection `rollouts`: a document per rollout, and of each model one at most that is active. It is changed only from
what it was when the change was decided (`revision`); what devices had told before (`earlier`) stays as it was when it
began, and who went back (`went_back`) only becomes more. Reads `devices` and `events`, too.
"""

from collections.abc import Collection as Some
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct
from pymongo import DESCENDING
from pymongo.errors import DuplicateKeyError

from flip_hub.api.pages import Order, Page, Wanted
from flip_hub.mongo import Database, Document
from flip_hub.rollouts.schemas import Figures, Rollout, RolloutStatus, Step
from flip_hub.rollouts.sightings import Sighting
from flip_wire.fleet import DeviceId
from flip_wire.models import ModelAssignment, RolledBack

_NEWEST = Order(("rollout.started_at", DESCENDING), ("_id", DESCENDING))
_EARLIER = "earlier"
_WENT_BACK = "went_back"
_CHANGES = {_EARLIER: 0, _WENT_BACK: 0}
"""All but those."""
OF_VERSION = 10
"""Rollouts of one version that are looked at, the newest."""


class RolloutRecord(Struct, frozen=True, kw_only=True):
    """A document, under the rollout's id."""

    rollout: Rollout
    active: bool
    """Whether it may still open rings."""
    wanted: ModelAssignment
    before: ModelAssignment | None
    owed: list[Step]
    """Steps that are decided, and not carried out as far as is known."""
    revision: int = 0


class RolloutStore:
    def __init__(self, database: Database) -> None:
        self._rollouts = database["rollouts"]
        self._devices = database["devices"]
        self._events = database["events"]

    # ---- rollouts ----

    async def add(self, record: RolloutRecord, earlier: Mapping[DeviceId, Figures]) -> bool:
        """`earlier`: what devices have told of the version's answers so far. False when another one of that model is
        active."""
        document = {"_id": record.rollout.id, **msgspec.to_builtins(record), _EARLIER: msgspec.to_builtins(earlier)}
        try:
            await self._rollouts.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def get(self, rollout_id: str) -> RolloutRecord | None:
        document = await self._rollouts.find_one({"_id": rollout_id}, _CHANGES)
        return None if document is None else msgspec.convert(document, RolloutRecord)

    async def earlier(self, rollout_id: str) -> dict[DeviceId, Figures]:
        """What devices had told of the version's answers when it began."""
        document = await self._rollouts.find_one({"_id": rollout_id}, {_EARLIER: 1}) or {}
        return msgspec.convert(document.get(_EARLIER, {}), dict[DeviceId, Figures])

    async def active_of(self, model: str) -> RolloutRecord | None:
        document = await self._rollouts.find_one({"rollout.model": model, "active": True}, _CHANGES)
        return None if document is None else msgspec.convert(document, RolloutRecord)

    async def under_way(self) -> list[RolloutRecord]:
        """Those that are active, or of which something is to be carried out."""
        found = self._rollouts.find({"$or": [{"active": True}, {"owed.0": {"$exists": True}}]}, _CHANGES)
        return [msgspec.convert(document, RolloutRecord) async for document in found]

    async def replace(self, record: RolloutRecord, revision: int) -> bool:
        """False when it is not of that revision any more."""
        known = {"_id": record.rollout.id, "revision": revision}
        done = await self._rollouts.update_one(known, {"$set": msgspec.to_builtins(record)})
        return bool(done.matched_count)

    async def page(self, wanted: Wanted, model: str | None, status: RolloutStatus | None) -> Page[Rollout]:
        """Newest first."""
        asked: Document = {"rollout.model": model, "rollout.status": status}
        where = {field: value for field, value in asked.items() if value is not None}
        return await _NEWEST.read(self._rollouts, where, wanted, _rollout)

    async def of_version(self, model: str, version: int) -> list[Rollout]:
        """Newest first."""
        of = {"rollout.model": model, "rollout.version": version}
        found = self._rollouts.find(of, _CHANGES).sort("rollout.started_at", DESCENDING).limit(OF_VERSION)
        return [_rollout(document) async for document in found]

    # ---- what devices have told ----

    async def sightings(self, model: str, ids: Some[DeviceId] | None = None) -> list[Sighting]:
        """Of the enrolled devices, or those of them that are named."""
        enrolled: Document = {"revoked_at": {"$exists": False}}
        where = enrolled if ids is None else {**enrolled, "_id": {"$in": list(ids)}}
        steps: list[Document] = [{"$match": where}, {"$project": _shown(model)}]
        return [msgspec.convert(each, Sighting) async for each in self._devices.aggregate(steps)]

    async def went_back(self, rollout: Rollout) -> set[DeviceId]:
        """Devices that went back from its version since it began, as far as they have told. Whoever was seen once is
        kept with it: a ring may soak longer than events are kept."""
        kept = await self._rollouts.find_one({"_id": rollout.id}, {_WENT_BACK: 1}) or {}
        known = {DeviceId(device) for device in kept.get(_WENT_BACK, [])}
        told = await self._told_back(rollout.model, rollout.version, rollout.started_at)
        if told - known:
            seen = {"$addToSet": {_WENT_BACK: {"$each": sorted(told - known)}}}
            await self._rollouts.update_one({"_id": rollout.id}, seen)
        return known | told

    async def _told_back(self, model: str, version: int, since: float) -> set[DeviceId]:
        moment = {"$gte": datetime.fromtimestamp(since, UTC)}
        told = {"kind": "rollback", "received": moment, "happened": moment}
        devices: set[DeviceId] = set()
        async for document in self._events.find(told, {"device": 1, "body": 1}):
            body = msgspec.json.decode(document["body"], type=RolledBack)
            if (body.model, body.version) == (model, version):
                devices.add(DeviceId(document["device"]))
        return devices


def _shown(model: str) -> Document:
    def of_model(field: str) -> dict[str, Any]:
        is_of_model = {"$eq": ["$$each.model", {"$literal": model}]}
        return {"$filter": {"input": {"$ifNull": [field, []]}, "as": "each", "cond": is_of_model}}

    return {
        "_id": 0,
        "id": "$_id",
        "name": 1,
        "tags": 1,
        "site": 1,
        "last_seen": 1,
        "own_generation": 1,
        "generation": {"$ifNull": ["$reported.generation", -1]},
        "serving": of_model("$reported.serving"),
        "failures": of_model("$reported.failures"),
        "traffic": of_model("$health.inference"),
    }


def _rollout(document: Document) -> Rollout:
    return msgspec.convert(document["rollout"], Rollout)
