"""The lease in the registry: one document, changed only in one step, with times of the server's clock alone.

Collection `leases`. The epoch grows with each holder and never falls.
"""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from flip_hub.mongo import Database, Document

_ID = "federation"


class Holder(Struct, frozen=True, kw_only=True):
    instance: str
    """Of one process: a hub that was restarted is another."""
    name: str
    address: str
    epoch: int
    expires_at: datetime
    """By the server's clock."""


class LeaseStore:
    def __init__(self, database: Database) -> None:
        self._leases = database["leases"]
        self._there = False

    async def take(self, instance: str, name: str, address: str, seconds: float) -> Holder | None:
        """None while another one holds it."""
        free = {"_id": _ID, "$expr": {"$lte": ["$expires_at", "$$NOW"]}}
        taken = {
            "instance": {"$literal": instance},
            "name": {"$literal": name},
            "address": {"$literal": address},
            "epoch": {"$add": ["$epoch", 1]},
            "expires_at": _in(seconds),
        }
        await self._be_there()
        return _holder(await self._change(free, taken))

    async def renew(self, instance: str, epoch: int, seconds: float) -> bool:
        """False when it is another's by now; one that ran out and was not taken is had again."""
        own = {"_id": _ID, "instance": instance, "epoch": epoch}
        return await self._change(own, {"expires_at": _in(seconds)}) is not None

    async def give_up(self, instance: str, epoch: int) -> None:
        """At once free for others; nothing happens when it is another's."""
        await self._change({"_id": _ID, "instance": instance, "epoch": epoch}, {"expires_at": "$$NOW"})

    async def holder(self) -> Holder | None:
        """Whoever has it, or had it last."""
        return _holder(await self._leases.find_one({"_id": _ID}))

    async def _be_there(self) -> None:
        """MongoDB makes no document for an update that compares with its clock."""
        if self._there:
            return
        long_ago = datetime.fromtimestamp(0, UTC)
        nobody = {"_id": _ID, "instance": "", "name": "", "address": "", "epoch": 0, "expires_at": long_ago}
        with suppress(DuplicateKeyError):
            await self._leases.insert_one(nobody)
        self._there = True

    async def _change(self, which: Document, values: dict[str, Any]) -> Document | None:
        return await self._leases.find_one_and_update(which, [{"$set": values}], return_document=ReturnDocument.AFTER)


def _in(seconds: float) -> dict[str, Any]:
    return {"$add": ["$$NOW", round(seconds * 1000)]}


def _holder(document: Document | None) -> Holder | None:
    return None if document is None else msgspec.convert(document, Holder)
