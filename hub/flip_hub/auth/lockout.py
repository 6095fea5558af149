"""Slows down who guesses passwords: so many failures for an address and for a name, so many attempts for an address.

Of many attempts at once only those count that were made before the limit was reached: the caller looks (`check`) right
before the work of checking a password, of which few are done side by side.
"""

import hashlib

from msgspec import Struct

from flip_hub.cluster.volatile import Volatile
from flip_hub.problem import TooMany


class Limit(Struct, frozen=True):
    most: int
    seconds: float


ATTEMPTS = Limit(60, 60.0)
"""Of an address, good and bad."""
ADDRESS_FAILURES = Limit(10, 60.0)
NAME_FAILURES = Limit(20, 900.0)
"""Whoever is locked out by somebody else's guessing still has the other sessions, API tokens and the hub's machine."""


class Lockout:
    def __init__(self, volatile: Volatile) -> None:
        self._volatile = volatile

    async def attempt(self, address: str) -> None:
        """Raises `TooMany`."""
        key = _key("attempts", address)
        if await self._volatile.count(key, ATTEMPTS.seconds) > ATTEMPTS.most:
            raise await self._too_many(key, "too many logins from your address")

    async def check(self, username: str, address: str) -> None:
        """Raises `TooMany`. It does not say whether there is such a name."""
        for key, limit in _limits(username, address):
            if int(await self._volatile.get(key) or 0) >= limit.most:
                raise await self._too_many(key, "too many failed logins")

    async def failed(self, username: str, address: str) -> None:
        for key, limit in _limits(username, address):
            await self._volatile.count(key, limit.seconds)

    async def succeeded(self, username: str) -> None:
        """The name's failures are forgotten; the address's are not, or one good account would excuse all guessing."""
        await self._volatile.remove(_key("name", username))

    async def _too_many(self, key: str, what: str) -> TooMany:
        wait = max(1.0, await self._volatile.left(key))
        return TooMany(what, hint=f"wait {wait:.0f} s", retry_after=wait)


def _limits(username: str, address: str) -> list[tuple[str, Limit]]:
    return [(_key("name", username), NAME_FAILURES), (_key("address", address), ADDRESS_FAILURES)]


def _key(what: str, of: str) -> str:
    return f"login:{what}:{hashlib.sha256(of.encode()).hexdigest()[:32]}"
