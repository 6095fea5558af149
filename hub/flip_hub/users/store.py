"""People with accounts, in MongoDB."""

import secrets
import time

import msgspec
from msgspec import Struct
from pymongo.errors import DuplicateKeyError

from flip_hub.auth.permissions import Role
from flip_hub.mongo import Database, Document
from flip_hub.problem import Conflict


def new_stamp() -> str:
    return secrets.token_hex(8)


class User(Struct, frozen=True, kw_only=True):
    username: str
    password_hash: str
    """Argon2id; empty for who logs in through the provider alone."""
    role: Role
    created_at: float
    disabled: bool = False
    stamp: str = ""
    """Sessions bear it; a new one ends them all."""
    subject: str = ""
    """Who this is at the OIDC provider, as `ISSUER SUB`; empty for a local account."""


class UserStore:
    """Collection `users`, by name."""

    def __init__(self, database: Database) -> None:
        self._users = database["users"]

    async def get(self, username: str) -> User | None:
        document = await self._users.find_one({"_id": username})
        return None if document is None else _user(document)

    async def of_subject(self, subject: str) -> User | None:
        """Who logs in through the provider as this subject."""
        document = await self._users.find_one({"subject": subject})
        return None if document is None else _user(document)

    async def everyone(self) -> list[User]:
        """By name."""
        return [_user(document) async for document in self._users.find().sort("_id")]

    async def any(self) -> bool:
        return await self._users.find_one({}, {"_id": 1}) is not None

    async def admins(self) -> list[str]:
        """Those who can log in."""
        enabled = {"role": Role.ADMIN.value, "disabled": {"$ne": True}}
        return [document["_id"] async for document in self._users.find(enabled).sort("_id")]

    async def add(self, user: User) -> None:
        """Raises `Conflict` when the name is taken."""
        document = msgspec.to_builtins(user)
        document["_id"] = document.pop("username")
        try:
            await self._users.insert_one(document)
        except DuplicateKeyError as error:
            raise Conflict(f"a user named {user.username!r} exists") from error

    async def set_role(self, username: str, role: Role) -> bool:
        return await self._change(username, {"role": role.value, "stamp": new_stamp()})

    async def set_disabled(self, username: str, *, disabled: bool) -> bool:
        return await self._change(username, {"disabled": disabled, "stamp": new_stamp()})

    async def set_password(self, username: str, password_hash: str) -> bool:
        return await self._change(username, {"password_hash": password_hash, "stamp": new_stamp()})

    async def renew_stamp(self, username: str) -> bool:
        return await self._change(username, {"stamp": new_stamp()})

    async def remove(self, username: str) -> None:
        await self._users.delete_one({"_id": username})

    async def _change(self, username: str, fields: Document) -> bool:
        """Whether there is such a user; sessions end with the stamp."""
        return (await self._users.update_one({"_id": username}, {"$set": fields})).matched_count == 1


def new_user(username: str, password_hash: str, role: Role, *, subject: str = "") -> User:
    return User(
        username=username,
        password_hash=password_hash,
        role=role,
        created_at=time.time(),
        stamp=new_stamp(),
        subject=subject,
    )


def _user(document: Document) -> User:
    return msgspec.convert({**document, "username": document["_id"]}, User)
