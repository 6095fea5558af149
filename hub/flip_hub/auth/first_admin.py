"""How a hub without anybody gets its first admin over HTTP; afterwards this way is closed."""

import asyncio
import logging

from flip_hub.auth.lockout import Lockout
from flip_hub.auth.passwords import Passwords
from flip_hub.auth.permissions import Role
from flip_hub.auth.schemas import Session, Setup
from flip_hub.auth.service import AuthService, Client
from flip_hub.auth.setup_code import SetupCode
from flip_hub.problem import Conflict, Forbidden
from flip_hub.users.store import UserStore, new_user

log = logging.getLogger(__name__)

_WHO = "set-up"
"""In place of a name, where failures are counted; no user can be called so with a space before it."""


class FirstAdmin:
    def __init__(
        self, users: UserStore, auth: AuthService, passwords: Passwords, lockout: Lockout, code: SetupCode
    ) -> None:
        self._users = users
        self._auth = auth
        self._passwords = passwords
        self._lockout = lockout
        self._code = code
        self._one = asyncio.Lock()

    async def wanted(self) -> bool:
        return not await self._users.any()

    async def offer(self) -> None:
        """Leaves the code in its file while there is nobody, and takes it back otherwise."""
        if not await self.wanted():
            self._code.remove()
        elif self._code.make():
            log.warning("nobody has an account yet", extra={"code": str(self._code.path)})

    async def make(self, setup: Setup, client: Client) -> Session:
        """Raises `Conflict` when somebody has an account, `Forbidden` for a wrong code, `TooMany`."""
        await self._lockout.check(f" {_WHO}", client.address)
        async with self._one:
            if not await self.wanted():
                raise Conflict("the hub is set up", hint="log in, or run flip-hub users on the hub's machine")
            try:
                self._code.spend(setup.code)
            except Forbidden:
                await self._lockout.failed(f" {_WHO}", client.address)
                raise
            user = new_user(setup.username, await self._passwords.hash(setup.password), Role.ADMIN)
            try:
                await self._users.add(user)
            except BaseException:
                self._code.make()
                raise
        return await self._auth.begin(user, client)
