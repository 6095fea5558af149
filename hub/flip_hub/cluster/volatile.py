"""Values that live for seconds to weeks and may be lost with what holds them: limits, idempotency keys, sessions.

One hub keeps them in its memory (`Memory`; its sessions in the registry: `flip_hub.auth.store`), several in Redis
(`flip_hub.cluster.redis`). Nothing that was promised to anybody is kept here alone: losing it costs a new login or a
new attempt.
"""

import time
from collections.abc import Callable
from typing import Protocol

MOST = 200_000
"""Values in one hub's memory; the tenth that would expire first makes room for more."""


class Volatile(Protocol):
    """Every call raises `Unavailable` while what holds the values is away."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes, seconds: float) -> None: ...

    async def add(self, key: str, value: bytes, seconds: float) -> bool:
        """False, and nothing changed, when there is a value already. Of several at once one succeeds."""
        ...

    async def take(self, key: str) -> bytes | None:
        """Removes it too; of several at once one is given the value."""
        ...

    async def remove(self, *keys: str) -> None: ...

    async def count(self, key: str, seconds: float) -> int:
        """One more than before; a counter lives `seconds` from its first count on."""
        ...

    async def left(self, key: str) -> float:
        """Seconds until it expires; 0 when there is none."""
        ...

    async def missing(self) -> str:
        """What is wrong with what holds the values; empty when nothing."""
        ...


class Memory:
    """`Volatile` for one hub."""

    def __init__(self, *, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._values: dict[str, tuple[float, bytes]] = {}

    async def get(self, key: str) -> bytes | None:
        expires, value = self._values.get(key, (float("-inf"), None))
        return value if expires > self._clock() else None

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        self._set(key, value, self._clock() + seconds)

    async def add(self, key: str, value: bytes, seconds: float) -> bool:
        if await self.get(key) is not None:
            return False
        self._set(key, value, self._clock() + seconds)
        return True

    async def take(self, key: str) -> bytes | None:
        value = await self.get(key)
        self._values.pop(key, None)
        return value

    async def remove(self, *keys: str) -> None:
        for key in keys:
            self._values.pop(key, None)

    async def count(self, key: str, seconds: float) -> int:
        now = self._clock()
        expires, value = self._values.get(key, (now, b"0"))
        before, expires = (int(value), expires) if expires > now else (0, now + seconds)
        self._set(key, b"%d" % (before + 1), expires)
        return before + 1

    async def left(self, key: str) -> float:
        expires, _ = self._values.get(key, (0.0, b""))
        return max(0.0, expires - self._clock())

    async def missing(self) -> str:
        return ""

    def _set(self, key: str, value: bytes, expires: float) -> None:
        if len(self._values) >= self._most and key not in self._values:
            self._make_room()
        self._values[key] = expires, value

    def _make_room(self) -> None:
        by_expiry = sorted(self._values, key=lambda key: self._values[key][0])
        for key in by_expiry[: max(1, self._most // 10)]:
            del self._values[key]
