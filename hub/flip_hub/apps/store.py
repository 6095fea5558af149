"""Apps and the keys that sign them, in MongoDB. Collections: `apps` by hash, `app_keys` by id."""

import msgspec
from pymongo import ASCENDING, DESCENDING

from flip_hub.api.pages import Order, Page, Wanted
from flip_hub.apps.schemas import App, AppKey, AppSignature
from flip_hub.mongo import Database, Document
from flip_wire.models import Sha256

_NEWEST = Order(("uploaded_at", DESCENDING), ("_id", DESCENDING))


class AppStore:
    def __init__(self, database: Database) -> None:
        self._apps = database["apps"]

    async def add(self, app: App) -> App:
        """The one that is kept: the first with this hash."""
        document = {"_id": app.fab_hash, **msgspec.to_builtins(app)}
        await self._apps.update_one({"_id": app.fab_hash}, {"$setOnInsert": document}, upsert=True)
        return msgspec.convert(await self._apps.find_one({"_id": app.fab_hash}), App)

    async def sign(self, fab_hash: Sha256, signature: AppSignature) -> None:
        """In place of an earlier one of the same key."""
        others = {
            "$filter": {"input": {"$ifNull": ["$signatures", []]}, "cond": {"$ne": ["$$this.key", signature.key]}}
        }
        signatures = {"$concatArrays": [others, [{"$literal": msgspec.to_builtins(signature)}]]}
        await self._apps.update_one({"_id": fab_hash}, [{"$set": {"signatures": signatures}}])

    async def get(self, fab_hash: Sha256) -> App | None:
        document = await self._apps.find_one({"_id": fab_hash})
        return None if document is None else _app(document)

    async def newest(self, wanted: Wanted, name: str | None) -> Page[App]:
        return await _NEWEST.read(self._apps, {} if name is None else {"name": name}, wanted, _app)


class AppKeyStore:
    def __init__(self, database: Database) -> None:
        self._keys = database["app_keys"]

    async def add(self, key: AppKey) -> AppKey:
        """The one that is kept: the first with this id."""
        document = {"_id": key.id, **msgspec.to_builtins(key)}
        await self._keys.update_one({"_id": key.id}, {"$setOnInsert": document}, upsert=True)
        return msgspec.convert(await self._keys.find_one({"_id": key.id}), AppKey)

    async def remove(self, key_id: str) -> AppKey | None:
        """The key that was removed."""
        return _key(await self._keys.find_one_and_delete({"_id": key_id}))

    async def count(self) -> int:
        return await self._keys.count_documents({})

    async def all(self) -> list[AppKey]:
        """Oldest first."""
        found = self._keys.find().sort("added_at", ASCENDING)
        return [msgspec.convert(document, AppKey) async for document in found]


def _app(document: Document) -> App:
    return msgspec.convert(document, App)


def _key(document: Document | None) -> AppKey | None:
    return None if document is None else msgspec.convert(document, AppKey)
