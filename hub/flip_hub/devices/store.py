"""Devices and what the fleet shall do, in MongoDB; assertions' nonces, each of which is accepted once."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from pymongo import ASCENDING, ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from flip_hub.api.pages import Order, Page, Wanted
from flip_hub.devices.brief import SKETCHED, Sketch
from flip_hub.devices.fleet_state import FleetState
from flip_hub.devices.lives import Clone, Life
from flip_hub.devices.record import DeviceRecord, OpenAction
from flip_hub.devices.schemas import DevicePatch
from flip_hub.mongo import Database, Document
from flip_hub.problem import Conflict
from flip_wire.actions import ActionId
from flip_wire.fleet import DeviceId

_FLEET = "desired"
_TELL = {"changed_at": True}
"""For `$currentDate`, by the registry's clock: the other hubs look for it."""
_DRAWN_BY = frozenset(("tags", "site"))
"""Fields by which rollouts choose: something else may be wanted of a device once they have changed."""
_BY_NAME = Order(("name", ASCENDING), ("_id", ASCENDING))


class DeviceStore:
    """Collections `devices`, `fleet`, `device_nonces`."""

    def __init__(self, database: Database) -> None:
        self._devices = database["devices"]
        self._fleet = database["fleet"]
        self._nonces = database["device_nonces"]

    async def add(self, record: DeviceRecord) -> None:
        """Raises `Conflict` when the name or the key is taken."""
        try:
            await self._devices.insert_one(_document(record))
        except DuplicateKeyError as error:
            if "fingerprint" in ((error.details or {}).get("keyPattern") or {}):
                raise Conflict("a device with this key exists", hint="flip-agent status shows which") from error
            hint = "enrol with another --name, or revoke that device first"
            raise Conflict(f"a device named {record.name!r} exists", hint=hint) from error

    async def get(self, device_id: DeviceId) -> DeviceRecord | None:
        return _record(await self._devices.find_one({"_id": device_id}))

    async def by_key(self, fingerprint: str) -> DeviceRecord | None:
        return _record(await self._devices.find_one({"fingerprint": fingerprint}))

    async def by_node(self, node_id: str) -> DeviceRecord | None:
        return _record(await self._devices.find_one({"node_id": node_id}))

    async def all(self) -> list[DeviceRecord]:
        return [_convert(document) async for document in self._devices.find().sort("name", ASCENDING)]

    async def sketches(self) -> list[Sketch]:
        """Of all, by name."""
        found = self._devices.find({}, SKETCHED).sort("name", ASCENDING)
        return [msgspec.convert({**document, "id": document["_id"]}, Sketch) async for document in found]

    async def page(self, wanted: Wanted, filter: Document) -> Page[DeviceRecord]:
        """By name."""
        return await _BY_NAME.read(self._devices, filter, wanted, _convert)

    async def last_seen_between(self, since: float, until: float) -> list[DeviceRecord]:
        found = self._devices.find({"last_seen": {"$gte": since, "$lt": until}})
        return [_convert(document) async for document in found]

    async def heard_or_revoked_since(self, since: float) -> list[DeviceRecord]:
        newer = {"$gte": since}
        found = self._devices.find({"$or": [{"last_seen": newer}, {"revoked_at": newer}]})
        return [_convert(document) async for document in found]

    async def seen(self, device_id: DeviceId, now: float) -> DeviceRecord | None:
        return await self._update(device_id, {"$max": {"last_seen": now}})

    async def set_node(self, device_id: DeviceId, node_id: str) -> DeviceRecord | None:
        return await self._update(device_id, {"$set": {"node_id": node_id}})

    async def set_nodes(self, nodes: Mapping[DeviceId, str]) -> list[DeviceRecord]:
        """Of many devices at once; gives their records."""
        if not nodes:
            return []
        updates = [UpdateOne({"_id": device_id}, {"$set": {"node_id": node}}) for device_id, node in nodes.items()]
        await self._devices.bulk_write(updates, ordered=False)
        return [_convert(document) async for document in self._devices.find({"_id": {"$in": [*nodes]}})]

    async def revoke(self, device_id: DeviceId, now: float) -> DeviceRecord | None:
        """Keeps the time of the first revocation, and frees the name."""
        change = {"$min": {"revoked_at": now}, "$unset": {"active_name": ""}, "$currentDate": _TELL}
        return await self._update(device_id, change)

    async def patch(self, device_id: DeviceId, patch: DevicePatch) -> DeviceRecord | None:
        change: Document = {"$currentDate": _TELL}
        if values := msgspec.to_builtins(patch):
            change["$set"] = values
        if _DRAWN_BY.intersection(values):
            change["$inc"] = {"own_generation": 1}
        return await self._update(device_id, change)

    async def set_wire_version(self, device_id: DeviceId, version: int) -> DeviceRecord | None:
        return await self._update(device_id, {"$set": {"wire_version": version}})

    async def set_lives(
        self, device_id: DeviceId, before: list[Life], lives: list[Life], clone: Clone | None
    ) -> DeviceRecord | None:
        """None when another hub has heard of another life meanwhile."""
        values: Document = {"lives": msgspec.to_builtins(lives), "clone": msgspec.to_builtins(clone)}
        known: Document = {"lives": msgspec.to_builtins(before) if before else {"$in": [None, []]}}
        return await self._update(device_id, {"$set": values, "$currentDate": _TELL}, known)

    async def forget_lives(self, device_id: DeviceId) -> DeviceRecord | None:
        change = {"$set": {"lives": [], "clone": None}, "$currentDate": _TELL}
        return await self._update(device_id, change)

    async def open_action(self, device_id: DeviceId, asked: OpenAction, most: int) -> DeviceRecord | None:
        """None when so many are open already."""
        change = {
            "$push": {"actions": msgspec.to_builtins(asked)},
            "$inc": {"own_generation": 1},
            "$currentDate": _TELL,
        }
        return await self._update(device_id, change, {f"actions.{most - 1}": {"$exists": False}})

    async def close_action(self, device_id: DeviceId, action_id: ActionId) -> DeviceRecord | None:
        """None when it was not open."""
        change = {
            "$pull": {"actions": {"action.id": action_id}},
            "$inc": {"own_generation": 1},
            "$currentDate": _TELL,
        }
        return await self._update(device_id, change, {"actions.action.id": action_id})

    async def changed_since(self, at: datetime) -> list[tuple[datetime, DeviceRecord]]:
        """What was revoked, named or asked otherwise, and when, by the registry's clock."""
        found = self._devices.find({"changed_at": {"$gte": at}})
        return [(document["changed_at"], _convert(document)) async for document in found]

    async def now(self) -> datetime:
        """By the registry's clock, in UTC and without a zone, as the driver gives times."""
        return (await self._devices.database.command("hello"))["localTime"]

    async def use_nonce(self, device_id: DeviceId, nonce: str) -> bool:
        """False when it was used before."""
        try:
            await self._nonces.insert_one({"_id": f"{device_id} {nonce}", "at": datetime.now(UTC)})
        except DuplicateKeyError:
            return False
        return True

    async def fleet(self) -> FleetState:
        """Generation 0 before anything was wanted."""
        document = await self._fleet.find_one({"_id": _FLEET})
        return FleetState(generation=0) if document is None else msgspec.convert(document, FleetState)

    async def replace_fleet(self, state: FleetState, generation: int) -> bool:
        """False when it is not of that generation any more."""
        known = {"_id": _FLEET, "generation": generation}
        try:
            done = await self._fleet.replace_one(known, msgspec.to_builtins(state), upsert=generation == 0)
        except DuplicateKeyError:
            return False
        return bool(done.matched_count or done.upserted_id)

    async def _update(
        self, device_id: DeviceId, change: Document, where: dict[str, Any] | None = None
    ) -> DeviceRecord | None:
        return _record(
            await self._devices.find_one_and_update(
                {"_id": device_id, **(where or {})}, change, return_document=ReturnDocument.AFTER
            )
        )


def _document(record: DeviceRecord) -> Document:
    document: Document = msgspec.to_builtins(record)
    document["_id"] = document.pop("id")
    document["active_name"] = record.name
    if document["revoked_at"] is None:
        del document["revoked_at"]  # so that $min takes the first time given
    if document["node_id"] is None:
        del document["node_id"]  # a sparse index leaves out what is missing, not what is null
    return document


def _record(document: Document | None) -> DeviceRecord | None:
    return None if document is None else _convert(document)


def _convert(document: Document) -> DeviceRecord:
    return msgspec.convert({**document, "id": document["_id"]}, DeviceRecord)
