"""Appends that wait for the next commit: at most `WAITING`; one more waits for a place."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Iterable

from flip_agent.outbox.file import New
from flip_runtime.errors import Unavailable
from flip_wire.telemetry import Priority, Seq

WAITING = 1024
NAME_LIMIT = 128
"""Characters of a name (`once`) as it is stored."""


class Waiting(New, eq=False, kw_only=True):
    accepted: asyncio.Future[Seq]
    repeat: "Waiting | None" = None
    """Of the same name, in the same commit."""

    def accept(self, seq: Seq) -> None:
        if not self.accepted.done():
            self.accepted.set_result(seq)
        if self.repeat is not None:
            self.repeat.accept(seq)


def refuse(batch: Iterable[Waiting], error: Unavailable) -> None:
    """Those that were not accepted."""
    for each in batch:
        if not each.accepted.done():
            each.accepted.set_exception(error)


def bounded(name: str) -> str:
    """A long name by its hash."""
    return name if len(name) <= NAME_LIMIT else hashlib.sha256(name.encode()).hexdigest()


class Intake:
    """Not an `asyncio.Queue`: it is twice as cheap, and this is done for each event."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._came = asyncio.Event()
        self._place = asyncio.Event()

    async def put(self, priority: Priority, event: bytes, once: str) -> Seq:
        """Its number, once it is accepted."""
        while len(self._waiting) >= WAITING:
            self._place.clear()
            await self._place.wait()
        accepted: asyncio.Future[Seq] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(priority, event, once, accepted=accepted))
        self._came.set()
        return await accepted

    async def take(self, size: int) -> list[Waiting]:
        """In the order they came, at least one, until there are that many bytes."""
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        batch, taken = list[Waiting](), 0
        while self._waiting and taken < size:
            batch.append(self._waiting.popleft())
            taken += len(batch[-1].event)
        self._place.set()
        return batch
