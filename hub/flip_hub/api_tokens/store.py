"""Tokens for programs, in MongoDB: of each token only a hash."""

import msgspec
from msgspec import Struct

from flip_hub.api_tokens.schemas import ApiToken
from flip_hub.auth.permissions import Permission
from flip_hub.mongo import Database, Document


class ApiTokenRecord(Struct, frozen=True, kw_only=True):
    id: str
    token_hash: str
    """SHA-256: the secret has 256 bits, so a slow hash would add nothing."""
    name: str
    username: str
    scope: list[Permission]
    created_at: float
    expires_at: float
    last_used: float | None = None

    @property
    def shown(self) -> ApiToken:
        return ApiToken(**{name: getattr(self, name) for name in ApiToken.__struct_fields__})


class ApiTokenStore:
    """Collection `api_tokens`, by id."""

    def __init__(self, database: Database) -> None:
        self._tokens = database["api_tokens"]

    async def add(self, record: ApiTokenRecord) -> None:
        document = msgspec.to_builtins(record)
        document["_id"] = document.pop("id")
        await self._tokens.insert_one(document)

    async def get(self, token_id: str) -> ApiTokenRecord | None:
        document = await self._tokens.find_one({"_id": token_id})
        return None if document is None else _record(document)

    async def of(self, username: str | None) -> list[ApiTokenRecord]:
        """Newest first; everybody's without a name."""
        mine = {} if username is None else {"username": username}
        return [_record(document) async for document in self._tokens.find(mine).sort("created_at", -1)]

    async def used(self, token_id: str, at: float) -> None:
        await self._tokens.update_one({"_id": token_id}, {"$set": {"last_used": at}})

    async def remove(self, token_id: str) -> None:
        await self._tokens.delete_one({"_id": token_id})

    async def remove_of(self, username: str) -> None:
        await self._tokens.delete_many({"username": username})


def _record(document: Document) -> ApiTokenRecord:
    return msgspec.convert({**document, "id": document["_id"]}, ApiTokenRecord)
