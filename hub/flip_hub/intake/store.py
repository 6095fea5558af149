"""Accounts in MongoDB, as part of the devices' records: many are read and written at once."""

from collections.abc import Iterable, Sequence

import msgspec
from pymongo import UpdateOne

from flip_hub.devices.record import DeviceRecord
from flip_hub.intake.delivery import Account
from flip_hub.mongo import Database, Document
from flip_hub.vitals.store import FIELD, packed
from flip_wire.fleet import DeviceId


class IntakeStore:
    """Fields of the collection `devices`."""

    def __init__(self, database: Database, *, alone: bool = False) -> None:
        """`alone`: no other hub counts. Then records are as this one wrote them, and MongoDB need not compare: an
        update that names nothing but the id costs it two thirds."""
        self._devices = database["devices"]
        self._alone = alone

    async def records(self, device_ids: Iterable[DeviceId]) -> dict[DeviceId, DeviceRecord]:
        """As they are now; of those that are known."""
        found = self._devices.find({"_id": {"$in": list(device_ids)}}, {FIELD: 0})
        records = [msgspec.convert({**each, "id": each["_id"]}, DeviceRecord) async for each in found]
        return {record.id: record for record in records}

    async def write(self, accounts: Sequence[Account]) -> bool:
        """False when some are not written: their record is gone or, with other hubs, has been changed or revoked."""
        written = await self._devices.bulk_write([self._update(each) for each in accounts], ordered=False)
        return written.matched_count == len(accounts)

    def _update(self, account: Account) -> UpdateOne:
        before = account.before
        unchanged: Document = {"_id": before.id}
        if not self._alone:
            unchanged |= {"intake.revision": before.intake.revision, "revoked_at": {"$exists": False}}
        return UpdateOne(unchanged, _change(account))


def _change(account: Account) -> Document:
    values: Document = {"intake": msgspec.to_builtins(account.intake)}
    if account.health is not None:
        values["health"] = msgspec.to_builtins(account.health)
    if account.reported is not None and account.reported != account.before.reported:
        values["reported"] = msgspec.to_builtins(account.reported)
    if account.save is not None:
        values[FIELD] = []
    change: Document = {"$set": values, "$max": {"last_seen": account.now}}
    if account.samples:
        change["$push"] = {FIELD: {"$each": [packed(sample) for sample in account.samples]}}
    return change
