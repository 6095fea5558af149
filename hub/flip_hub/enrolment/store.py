"""Enrolment tokens, by hash; one that was used remembers by which key."""

from datetime import UTC, datetime

import msgspec
from msgspec import Struct
from pymongo import ReturnDocument

from flip_hub.mongo import Database, Document


class TokenRecord(Struct, frozen=True, kw_only=True):
    hash: str
    """SHA-256 in hexadecimal: the token itself has 256 random bits, so a slow hash would add nothing."""
    expires_at: float
    used_by: str | None = None
    """Fingerprint of the key it was exchanged for."""


class EnrolmentStore:
    """Collection `enrolment_tokens`."""

    def __init__(self, database: Database) -> None:
        self._tokens = database["enrolment_tokens"]

    async def add(self, token: TokenRecord) -> None:
        expires = datetime.fromtimestamp(token.expires_at, UTC)
        await self._tokens.insert_one({"_id": token.hash, **msgspec.to_builtins(token), "expires": expires})

    async def get(self, token_hash: str) -> TokenRecord | None:
        return _record(await self._tokens.find_one({"_id": token_hash}))

    async def claim(self, token_hash: str, fingerprint: str, now: float) -> TokenRecord | None:
        """In one step: gives it to that key, unless it has expired or is another's. The record as it was before."""
        free = {"$or": [{"used_by": None}, {"used_by": fingerprint}]}
        return _record(
            await self._tokens.find_one_and_update(
                {"_id": token_hash, "expires_at": {"$gt": now}, **free},
                {"$set": {"used_by": fingerprint}},
                return_document=ReturnDocument.BEFORE,
            )
        )

    async def release(self, token_hash: str, fingerprint: str) -> None:
        """Takes a claim back: the enrolment came to nothing."""
        await self._tokens.update_one({"_id": token_hash, "used_by": fingerprint}, {"$set": {"used_by": None}})


def _record(document: Document | None) -> TokenRecord | None:
    return None if document is None else msgspec.convert(document, TokenRecord)
