"""Changes accounts; whoever is changed is logged out at once, and somebody who may manage accounts always remains."""

from collections.abc import Awaitable, Callable

from flip_hub.api_tokens.store import ApiTokenStore
from flip_hub.audit.changes import changed
from flip_hub.auth.passwords import Passwords
from flip_hub.auth.permissions import Role
from flip_hub.cluster.bus import Bus, Topic
from flip_hub.problem import Conflict, NotFound
from flip_hub.users.schemas import Account, AccountChange, NewAccount
from flip_hub.users.store import User, UserStore, new_user


class UserService:
    def __init__(self, users: UserStore, api_tokens: ApiTokenStore, passwords: Passwords, bus: Bus) -> None:
        self._users = users
        self._api_tokens = api_tokens
        self._passwords = passwords
        self._bus = bus

    async def list(self) -> list[Account]:
        return [_account(user) for user in await self._users.everyone()]

    async def add(self, account: NewAccount) -> Account:
        """Raises `Conflict` when the name is taken."""
        user = new_user(account.username, await self._passwords.hash(account.password), account.role)
        await self._users.add(user)
        return _account(user)

    async def change(self, username: str, change: AccountChange) -> Account:
        """Raises `NotFound`, or `Conflict` for the last admin, whose sessions then go on."""
        user = await self._known(username)
        if change.role is not None and change.role is not user.role:
            await self._set_role(user, change.role)
        if change.disabled is not None and change.disabled is not user.disabled:
            await self._set_disabled(user, change.disabled)
        after = await self._known(username)
        changed("role", user.role, after.role)
        changed("disabled", user.disabled, after.disabled)
        return _account(after)

    async def set_password(self, username: str, password: str) -> Account:
        """Raises `NotFound`, or `Conflict` for an account of the provider's."""
        user = await self._known(username)
        if user.subject:
            raise Conflict(f"{username} logs in through the provider", hint="change the password there")
        await self._users.set_password(username, await self._passwords.hash(password))
        self._tell(username)
        return _account(user)

    async def remove(self, username: str) -> Account:
        """Raises `NotFound`, or `Conflict` for the last admin."""
        user = await self._known(username)
        if not user.disabled:
            await self._set_disabled(user, True)
        await self._api_tokens.remove_of(username)  # first: a later account of this name must not inherit them
        await self._users.remove(username)
        self._tell(username)
        return _account(user)

    async def _set_role(self, user: User, role: Role) -> None:
        await self._refuse_last_admin(user)
        await self._users.set_role(user.username, role)
        await self._unless_last_admin(user, lambda: self._users.set_role(user.username, user.role))
        self._tell(user.username)

    async def _set_disabled(self, user: User, disabled: bool) -> None:
        await self._refuse_last_admin(user)
        await self._users.set_disabled(user.username, disabled=disabled)
        await self._unless_last_admin(user, lambda: self._users.set_disabled(user.username, disabled=user.disabled))
        self._tell(user.username)

    async def _refuse_last_admin(self, user: User) -> None:
        """Before anything has changed, which ends sessions."""
        if await self._users.admins() == [user.username]:
            raise _last_admin(user)

    async def _unless_last_admin(self, user: User, undo: Callable[[], Awaitable[bool]]) -> None:
        """Looks after the change: of two hubs that take two admins' rights at once, at least one sees what it did."""
        if user.role is not Role.ADMIN or user.disabled or await self._users.admins():
            return
        await undo()
        self._tell(user.username)
        raise _last_admin(user)

    async def _known(self, username: str) -> User:
        user = await self._users.get(username)
        if user is None:
            raise NotFound(f"no user named {username[:64]!r}")
        return user

    def _tell(self, username: str) -> None:
        self._bus.tell(Topic.USER, username.encode())


def _last_admin(user: User) -> Conflict:
    return Conflict(f"{user.username} is the last admin", hint="make somebody else an admin first")


def _account(user: User) -> Account:
    return Account(
        username=user.username,
        role=user.role,
        disabled=user.disabled,
        created_at=user.created_at,
        provider=user.subject.partition(" ")[0],
    )
