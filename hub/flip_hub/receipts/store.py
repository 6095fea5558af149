"""Chains of receipts in MongoDB: `receipts` by run and number, and `receipt_seals` of runs that have ended."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import BulkWriteError

from flip_hub.api.pages import Order, Page, Wanted
from flip_hub.mongo import Database
from flip_hub.receipts.chain import End, ReceiptEntry, ReceiptSeal
from flip_wire.fleet import DeviceId

_IN_ORDER = Order(("seq", ASCENDING))


class ChainStore:
    def __init__(self, database: Database) -> None:
        self._entries = database["receipts"]
        self._seals = database["receipt_seals"]

    async def end(self, run_id: str) -> End:
        fields = {"seq": 1, "hash": 1}
        found = await self._entries.find_one({"run_id": run_id}, fields, sort=[("seq", DESCENDING)])
        return End() if found is None else End(seq=found["seq"], hash=found["hash"])

    async def append(self, entries: Sequence[ReceiptEntry]) -> bool:
        """False when another hub has written one of these numbers: look at the end again."""
        try:
            await self._entries.insert_many([msgspec.to_builtins(entry) for entry in entries], ordered=True)
        except BulkWriteError:
            return False
        return True

    async def of_messages(self, run_id: str, message_ids: Sequence[str]) -> list[ReceiptEntry]:
        found = self._entries.find({"run_id": run_id, "message_id": {"$in": list(message_ids)}})
        return [msgspec.convert(document, ReceiptEntry) async for document in found]

    async def page(self, run_id: str, wanted: Wanted) -> Page[ReceiptEntry]:
        """In the order of the chain."""
        return await _IN_ORDER.read(
            self._entries, {"run_id": run_id}, wanted, lambda found: msgspec.convert(found, ReceiptEntry)
        )

    async def devices(self, run_id: str) -> set[DeviceId]:
        """That its entries name."""
        return {DeviceId(each) for each in await self._entries.distinct("device_id", {"run_id": run_id}) if each}

    async def seal(self, run_id: str) -> ReceiptSeal | None:
        found = await self._seals.find_one({"_id": run_id})
        return None if found is None else msgspec.convert(found, ReceiptSeal)

    async def keep_seal(self, seal: ReceiptSeal) -> None:
        """The first stays. The entries get its date, by which they are deleted together."""
        sealed = {"$set": {"sealed": datetime.fromtimestamp(seal.at, UTC)}}
        await self._entries.update_many({"run_id": seal.run_id, "sealed": {"$exists": False}}, sealed)
        values = {"$setOnInsert": msgspec.to_builtins(seal)}
        await self._seals.update_one({"_id": seal.run_id}, values, upsert=True)
