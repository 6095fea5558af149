"""Devices and what the fleet shall do, in MongoDB; assertions' nonces, each of which is accepted once."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from pymongo import ASCENDING, ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from flip_hub.api.pages import Order, Page, Wanted
from flip_hub.devices.record import DeviceRecord, Intake
from flip_hub.mongo import Database, Document
from flip_hub.problem import Conflict
from flip_wire.fleet import DesiredState, DeviceId, ReportedState
from flip_wire.health import HealthReport

_FLEET = "desired"
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
        return await self._update(device_id, {"$min": {"revoked_at": now}, "$unset": {"active_name": ""}})

    async def account(
        self,
        device_id: DeviceId,
        *,
        revision: int,
        intake: Intake,
        now: float,
        health: HealthReport | None,
        reported: ReportedState | None,
    ) -> DeviceRecord | None:
        """Stores `intake`, and what is new of the others; None when it is no longer at that revision."""
        values: Document = {"intake": msgspec.to_builtins(intake)}
        if health is not None:
            values["health"] = msgspec.to_builtins(health)
        if reported is not None:
            values["reported"] = msgspec.to_builtins(reported)
        change = {"$set": values, "$max": {"last_seen": now}}
        return await self._update(device_id, change, {"intake.revision": revision})

    async def use_nonce(self, device_id: DeviceId, nonce: str) -> bool:
        """False when it was used before."""
        try:
            await self._nonces.insert_one({"_id": f"{device_id} {nonce}", "at": datetime.now(UTC)})
        except DuplicateKeyError:
            return False
        return True

    async def desired(self) -> DesiredState:
        """Of the whole fleet; generation 0 before anything was wanted."""
        document = await self._fleet.find_one({"_id": _FLEET})
        return DesiredState(generation=0) if document is None else msgspec.convert(document, DesiredState)

    async def save_desired(self, desired: DesiredState) -> None:
        await self._fleet.replace_one({"_id": _FLEET}, msgspec.to_builtins(desired), upsert=True)

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
