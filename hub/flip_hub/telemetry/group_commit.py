"""Many callers' writes as one: whatever has come while one write was under way is written together by the next.

Nobody is answered before what they brought is written. A lone caller is served at once; under load a write begins
every `PACE` seconds, because what one costs depends little on how much it takes along.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NoReturn, TypeVar

from msgspec import Struct

from flip_hub.mongo import DatabaseDown
from flip_runtime.errors import FlipError, Unavailable

T = TypeVar("T")

PACE = 0.1
"""Seconds from one beginning to the next: a group of 1,000 callers a second is 100, and they wait 50 ms longer."""
MOST_AT_ONCE = 500
"""Items of one write."""
MOST_BYTES = 64 * 2**20
"""Of what waits, as its callers have it; more is refused until there is room."""

Write = Callable[[Sequence[T]], Awaitable[Sequence[FlipError | None]]]
"""Says for each item what kept it from being written, or None. What it raises kept all of them."""


class _Waiting(Struct, Generic[T], eq=False):
    item: T
    size: int
    done: "asyncio.Future[None]"


class GroupCommit(Generic[T]):
    """`run` writes, `commit` waits for it."""

    def __init__(self, write: Write[T], *, pace: float = PACE, most_bytes: int = MOST_BYTES) -> None:
        self._write = write
        self._pace = pace
        self._most_bytes = most_bytes
        self._waiting: deque[_Waiting[T]] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._stopped = False
        self.groups = 0
        self.items = 0
        """That were written, in so many groups."""

    async def commit(self, item: T, size: int) -> None:
        """Returns once it is written; `size` in bytes. Raises what `write` said of it, or raised, and `Unavailable`
        when too much waits already."""
        if self._stopped:
            raise _stopping()
        if self._waiting and self._bytes + size > self._most_bytes:
            raise Unavailable("more comes than can be stored", hint="try again in some seconds", retry_after=5.0)
        waiting = _Waiting(item, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._bytes += size
        self._arrived.set()
        await waiting.done

    async def run(self) -> NoReturn:
        """Until it is cancelled; then nobody is left waiting."""
        loop, self._stopped = asyncio.get_running_loop(), False
        try:
            while True:
                await self._arrived.wait()
                began = loop.time()
                await self._write_group(self._taken())
                await asyncio.sleep(began + self._pace - loop.time())
        finally:
            self._stopped = True
            for waiting in self._taken(len(self._waiting)):
                _settle(waiting, _stopping())

    def _taken(self, most: int = MOST_AT_ONCE) -> list[_Waiting[T]]:
        group = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        self._bytes -= sum(waiting.size for waiting in group)
        self.groups += 1
        self.items += len(group)
        if not self._waiting:
            self._arrived.clear()
        return group

    async def _write_group(self, group: Sequence[_Waiting[T]]) -> None:
        """What cannot be written shall not keep the others from it."""
        try:
            told = await self._write([waiting.item for waiting in group])
        except asyncio.CancelledError:
            for waiting in group:
                _settle(waiting, _stopping())
            raise
        except (FlipError, DatabaseDown) as error:
            told = [error] * len(group)
        except Exception as error:  # whoever waits hears of it
            if len(group) > 1:
                for waiting in group:
                    await self._write_group([waiting])
                return
            told = [error]
        for waiting, error in zip(group, told, strict=True):
            _settle(waiting, error)


def _settle(waiting: _Waiting[T], error: Exception | None) -> None:
    if waiting.done.done():
        return  # its caller has gone
    if error is None:
        waiting.done.set_result(None)
    else:
        waiting.done.set_exception(error)


def _stopping() -> Unavailable:
    return Unavailable("the hub is stopping", hint="try again in some seconds")
