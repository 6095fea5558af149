"""Accounts over HTTP, for admins."""

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Ended, OpenSession
from flip_hub.auth.service import AuthService
from flip_hub.users.schemas import Account, AccountChange, NewAccount, PasswordReset
from flip_hub.users.service import UserService


class UserController(Controller):
    path = "/api/v1/users"
    tags = ("users",)
    guards = (needs(Permission.USERS_MANAGE),)

    @get()
    async def list_users(self, users: NamedDependency[UserService]) -> list[Account]:
        """By name."""
        return await users.list()

    @post()
    async def add_user(self, users: NamedDependency[UserService], data: JSONBody[NewAccount]) -> Account:
        return await users.add(data)

    @patch("/{username:str}")
    async def change_user(
        self, users: NamedDependency[UserService], username: FromPath[str], data: JSONBody[AccountChange]
    ) -> Account:
        """Logs that person out everywhere; 409 for the last admin."""
        return await users.change(username, data)

    @post("/{username:str}/password", status_code=200)
    async def reset_password(
        self, users: NamedDependency[UserService], username: FromPath[str], data: JSONBody[PasswordReset]
    ) -> Account:
        """Logs that person out everywhere."""
        return await users.set_password(username, data.password)

    @delete("/{username:str}", status_code=200)
    async def remove_user(self, users: NamedDependency[UserService], username: FromPath[str]) -> Account:
        """With all sessions and tokens; 409 for the last admin."""
        return await users.remove(username)

    @get("/{username:str}/sessions")
    async def list_sessions(self, auth: NamedDependency[AuthService], username: FromPath[str]) -> list[OpenSession]:
        """Newest first."""
        return await auth.sessions(username, "")

    @delete("/{username:str}/sessions", status_code=200)
    async def end_sessions(self, auth: NamedDependency[AuthService], username: FromPath[str]) -> Ended:
        """Logs that person out everywhere."""
        await auth.end_all(username)
        return Ended(username=username)
