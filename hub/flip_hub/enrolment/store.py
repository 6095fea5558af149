"""Enrolment tokens, by hash; each remembers which keys have used it."""

from datetime import UTC, datetime

import msgspec
from msgspec import Struct
from pymongo import DESCENDING, ReturnDocument

from flip_hub.api.pages import Order, Page, Wanted
from flip_hub.enrolment.schemas import ListedToken
from flip_hub.mongo import Database, Document

_NEWEST_FIRST = Order(("created_at", DESCENDING), ("_id", DESCENDING))


class TokenRecord(Struct, frozen=True, kw_only=True):
    hash: str
    """SHA-256 in hexadecimal: the token itself has 256 random bits, so a slow hash would add nothing."""
    id: str
    """For people: to name the token says nothing of it."""
    created_at: float
    created_by: str
    expires_at: float
    uses: int
    left: int
    keys: list[str] = []
    """Fingerprints of those it was exchanged for."""
    site: str = ""
    tags: list[str] = []
    note: str = ""
    revoked_at: float | None = None

    @property
    def listed(self) -> ListedToken:
        return msgspec.convert(self, ListedToken, from_attributes=True)


class EnrolmentStore:
    """Collection `enrolment_tokens`."""

    def __init__(self, database: Database) -> None:
        self._tokens = database["enrolment_tokens"]

    async def add(self, token: TokenRecord) -> None:
        expires = datetime.fromtimestamp(token.expires_at, UTC)
        await self._tokens.insert_one({"_id": token.hash, **msgspec.to_builtins(token), "expires": expires})

    async def get(self, token_hash: str) -> TokenRecord | None:
        return _record(await self._tokens.find_one({"_id": token_hash}))

    async def page(self, wanted: Wanted) -> Page[TokenRecord]:
        """Newest first; those that have expired are there for a week."""
        return await _NEWEST_FIRST.read(self._tokens, {}, wanted, _convert)

    async def revoke(self, token_id: str, now: float) -> TokenRecord | None:
        """Keeps the time of the first revocation; None when there is no such token."""
        await self._tokens.update_one({"id": token_id, "revoked_at": None}, {"$set": {"revoked_at": now}})
        return _record(await self._tokens.find_one({"id": token_id}))

    async def claim(self, token_hash: str, key: str, now: float) -> TokenRecord | None:
        """In one step: takes one use of it for that key, unless it is over. The record as it was before; a key that
        has used it already takes no second use."""
        good: Document = {"_id": token_hash, "expires_at": {"$gt": now}, "revoked_at": None}
        again = _record(await self._tokens.find_one({**good, "keys": key}))
        if again is not None:
            return again
        return _record(
            await self._tokens.find_one_and_update(
                {**good, "keys": {"$ne": key}, "left": {"$gt": 0}},
                {"$inc": {"left": -1}, "$push": {"keys": key}},
                return_document=ReturnDocument.BEFORE,
            )
        )

    async def release(self, token_hash: str, key: str) -> None:
        """Takes a claim back: the enrolment came to nothing."""
        claimed = {"_id": token_hash, "keys": key}
        await self._tokens.update_one(claimed, {"$pull": {"keys": key}, "$inc": {"left": 1}})


def _record(document: Document | None) -> TokenRecord | None:
    return None if document is None else _convert(document)


def _convert(document: Document) -> TokenRecord:
    return msgspec.convert(document, TokenRecord)
