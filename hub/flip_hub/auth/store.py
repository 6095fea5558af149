"""Sessions of a hub without Redis, in the registry: when it restarts, nobody has to log in again.

Collection `sessions`: values and counters by key, each until its time; within a minute after it MongoDB removes them.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from flip_hub.mongo import Database, Document


class SessionStore:
    """`flip_hub.auth.sessions.Values`. Every call raises `DatabaseDown` while the registry is away."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._sessions = database["sessions"]
        self._clock = clock

    async def get(self, key: str) -> bytes | None:
        found = await self._sessions.find_one({"_id": key, "expires_at": {"$gt": self._after(0)}})
        return None if found is None else found["value"]

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        await self._sessions.update_one({"_id": key}, {"$set": self._fields(value, seconds)}, upsert=True)

    async def add(self, key: str, value: bytes, seconds: float) -> bool:
        expired = {"_id": key, "expires_at": {"$lte": self._after(0)}}
        try:
            await self._sessions.update_one(expired, {"$set": self._fields(value, seconds)}, upsert=True)
        except DuplicateKeyError:  # it is there and has not expired
            return False
        return True

    async def remove(self, *keys: str) -> None:
        await self._sessions.delete_many({"_id": {"$in": keys}})

    async def count(self, key: str, seconds: float) -> int:
        lives = {"$gt": ["$expires_at", self._after(0)]}
        step = {
            "value": {"$cond": [lives, {"$add": ["$value", 1]}, 1]},
            "expires_at": {"$cond": [lives, "$expires_at", self._after(seconds)]},
        }
        counted = await self._sessions.find_one_and_update(
            {"_id": key}, [{"$set": step}], upsert=True, return_document=ReturnDocument.AFTER
        )
        return counted["value"]

    def _fields(self, value: bytes, seconds: float) -> Document:
        return {"value": value, "expires_at": self._after(seconds)}

    def _after(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(self._clock() + seconds, UTC)
