"""Logins that go on, each with one refresh token at a time.

A refresh token is exchanged for the next one. Who shows one that was exchanged before is either a thief or robbed by
one, so the session ends for both. Two refreshes at once, as two tabs make them, or one whose answer was lost, are no
theft: for `LEEWAY` seconds the same token gives the same successor.
"""

import asyncio
import secrets
import time
from typing import Protocol

import msgspec
from msgspec import Struct

from flip_hub.problem import Unauthorized
from flip_hub.settings import AuthSection

LEEWAY = 10.0
"""Seconds."""
MOST = 32
"""Sessions of one person; the oldest gives way."""
_COUNTED = 366 * 86400.0
_GONE = 120.0
"""Seconds that an ended session is known as such: longer than a refresh that began before takes."""


class Reused(Unauthorized):
    """A refresh token was shown again; its session has ended."""


class SessionRecord(Struct, frozen=True, kw_only=True):
    username: str
    stamp: str
    """Of the user when it began: once that is another, the session is over."""
    turn: int
    """Of the refresh token that is good now."""
    slot: int
    begun_at: float
    used_at: float
    ends_at: float
    address: str
    agent: str


class Values(Protocol):
    """Where sessions are kept: as in `flip_hub.cluster.volatile.Volatile`, so Redis will do."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes, seconds: float) -> None: ...

    async def add(self, key: str, value: bytes, seconds: float) -> bool: ...

    async def remove(self, *keys: str) -> None: ...

    async def count(self, key: str, seconds: float) -> int: ...


class Sessions:
    def __init__(self, values: Values, lifetimes: AuthSection) -> None:
        self._values = values
        self._lifetimes = lifetimes

    async def begin(self, username: str, stamp: str, address: str, agent: str) -> tuple[str, SessionRecord]:
        session, now = secrets.token_hex(12), time.time()
        slot = await self._values.count(f"sessions:{username}", _COUNTED) % MOST
        before = await self._values.get(_slot(username, slot))
        if before is not None:
            await self.end(before.decode())
        record = SessionRecord(
            username=username,
            stamp=stamp,
            turn=0,
            slot=slot,
            begun_at=now,
            used_at=now,
            ends_at=now + self._lifetimes.session_lifetime,
            address=address,
            agent=agent,
        )
        await self._values.put(_slot(username, slot), session.encode(), self._lifetimes.session_lifetime)
        await self._keep(session, record)
        return session, record

    async def get(self, session: str) -> SessionRecord | None:
        kept = await self._values.get(_key(session))
        return None if kept is None else msgspec.json.decode(kept, type=SessionRecord)

    async def of(self, username: str) -> dict[str, SessionRecord]:
        """Those that have not ended, by id."""
        slots = await asyncio.gather(*(self._values.get(_slot(username, slot)) for slot in range(MOST)))
        ids = [slot.decode() for slot in slots if slot is not None]
        records = await asyncio.gather(*map(self.get, ids))
        return {session: record for session, record in zip(ids, records, strict=True) if record is not None}

    async def exchange(self, session: str, turn: int) -> SessionRecord:
        """With the `turn` of the next token. Raises `Reused`, having ended it, and `Unauthorized` when it is over."""
        record = await self.get(session)
        if record is None:
            raise ended()
        turned = f"turned:{session}:{turn}"
        if turn == record.turn:
            if await self._values.add(turned, b"", LEEWAY):
                following = msgspec.structs.replace(record, turn=turn + 1, used_at=time.time())
                await self._keep(session, following)
                if await self._values.get(_gone(session)) is not None:
                    await self._values.remove(_key(session))
                    raise ended()
        elif await self._values.get(turned) is None:
            await self.end(session)
            raise Reused("this refresh token was used before", hint="the session has ended: log in again")
        return msgspec.structs.replace(record, turn=turn + 1)

    async def end(self, session: str) -> None:
        """The mark first: a refresh at the same moment must not bring it back."""
        await self._values.put(_gone(session), b"", _GONE)
        await self._values.remove(_key(session))

    async def _keep(self, session: str, record: SessionRecord) -> None:
        lasts = min(self._lifetimes.session_idle, record.ends_at - time.time())
        await self._values.put(_key(session), msgspec.json.encode(record), max(1.0, lasts))


def ended() -> Unauthorized:
    return Unauthorized("the session has ended", hint="log in again")


def _key(session: str) -> str:
    return f"session:{session}"


def _gone(session: str) -> str:
    return f"session-ended:{session}"


def _slot(username: str, slot: int) -> str:
    return f"sessions:{username}:{slot}"
