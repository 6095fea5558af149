"""One hub at a time prepares the registry; the lock of one that died is free again after `LEASE` seconds.

Times are the server's own: the clocks of two hubs need not agree.
"""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from flip_hub.mongo import Database, DatabaseDown, Document
from flip_runtime.errors import FlipError, Unavailable

LEASE = 30.0
"""Seconds."""
LOOK_EVERY = 0.1
"""Seconds between looks while another hub holds it."""
_LOCK = "lock"


class RegistryLock:
    def __init__(self, database: Database, *, lease: float = LEASE) -> None:
        self._registry = database["registry"]
        self._holder = uuid4().hex
        self._lease = lease

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Waits until no other holds it. Raises what `work` raises; `Unavailable` when the lock was lost meanwhile."""
        while not await self._taken():
            await asyncio.sleep(LOOK_EVERY)
        try:
            async with asyncio.TaskGroup() as group:
                renewing = group.create_task(self._keep())
                await work()
                renewing.cancel()
        except* (DatabaseDown, FlipError) as errors:
            raise _first(errors) from None
        finally:
            await self._registry.delete_one({"_id": _LOCK, "holder": self._holder})

    async def _taken(self) -> bool:
        free = {"$lte": [{"$ifNull": ["$until", "$$NOW"]}, "$$NOW"]}
        mine = {name: {"$cond": [free, value, f"${name}"]} for name, value in self._mine().items()}
        change, after = [{"$set": mine}], ReturnDocument.AFTER
        try:
            lock = await self._registry.find_one_and_update({"_id": _LOCK}, change, upsert=True, return_document=after)
        except DuplicateKeyError:  # two made it at once
            return False
        return lock["holder"] == self._holder

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            kept = await self._registry.update_one({"_id": _LOCK, "holder": self._holder}, [{"$set": self._mine()}])
            if not kept.matched_count:
                raise Unavailable("another hub took over preparing the registry")

    def _mine(self) -> Document:
        return {"holder": self._holder, "until": {"$add": ["$$NOW", self._lease * 1000]}}


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Work may have had tasks of its own."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
