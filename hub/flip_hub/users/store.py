"""People with accounts, in MongoDB."""

import msgspec
from msgspec import Struct
from pymongo.errors import DuplicateKeyError

from flip_hub.auth.permissions import Role
from flip_hub.mongo import Database
from flip_hub.problem import Conflict


class User(Struct, frozen=True, kw_only=True):
    username: str
    password_hash: str
    """Argon2id."""
    role: Role
    created_at: float


class UserStore:
    """Collection `users`, by name."""

    def __init__(self, database: Database) -> None:
        self._users = database["users"]

    async def get(self, username: str) -> User | None:
        document = await self._users.find_one({"_id": username})
        return None if document is None else msgspec.convert({**document, "username": username}, User)

    async def admins(self) -> list[str]:
        return [document["_id"] async for document in self._users.find({"role": Role.ADMIN.value}).sort("_id")]

    async def add(self, user: User) -> None:
        """Raises `Conflict` when the name is taken."""
        document = msgspec.to_builtins(user)
        document["_id"] = document.pop("username")
        try:
            await self._users.insert_one(document)
        except DuplicateKeyError as error:
            raise Conflict(f"a user named {user.username!r} exists") from error
