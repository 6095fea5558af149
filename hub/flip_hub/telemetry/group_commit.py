"""Many callers' writes as one: whatever has come while one write was under way is written together by the next.

Nobody is answered before what they brought is written. A lone caller is served at once; under load a write begins
every `PACE` seconds, because what one costs depends little on how much it takes along.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NoReturn, TypeVar

from msgspec import Struct

from flip_hub.mongo import DatabaseDown
from flip_runtime.errors import FlipError, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

PACE = 0.1
"""Seconds from one beginning to the next: a group of 1,000 callers a second is 100, and they wait 50 ms longer."""
MOST_AT_ONCE = 500
"""Items of one write."""
_READ_AT_ONCE = 32
"""Callers that are read before others have their turn in the event loop."""
MOST_BYTES = 64 * 2**20
"""Of what waits, as its callers have it; more is refused until there is room."""

Write = Callable[[Sequence[T]], Awaitable[Sequence[FlipError | None]]]
"""Says for each item what kept it from being written, or None. What it raises kept all of them."""


class _Waiting(Struct, Generic[T], eq=False):
    item: T
    size: int
    since: float
    """By the loop's clock."""
    done: "asyncio.Future[None]"


class GroupCommit(Generic[T]):
    """`run` writes; `commit` waits for it, `submit` gives its caller something to wait for, and `bring` asks for what a
    caller has not read yet. What waits is bounded by `most_bytes`; whoever comes beyond that is refused."""

    def __init__(self, write: Write[T], *, pace: float = PACE, most_bytes: int = MOST_BYTES) -> None:
        self._write = write
        self._pace = pace
        self._most_bytes = most_bytes
        self._waiting: deque[_Waiting[T]] = deque()
        self._bringing: deque[tuple[Callable[[], None], int]] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._stopped = False
        self.groups = 0
        self.items = 0
        """That were written, in so many groups."""
        self.took = 0.0
        """Seconds that the last write took."""

    @property
    def waiting(self) -> int:
        """Items, also those that are not read yet."""
        return len(self._waiting) + len(self._bringing)

    @property
    def waiting_bytes(self) -> int:
        return self._bytes

    def oldest(self) -> float:
        """Seconds that the item has waited which waits longest."""
        return asyncio.get_running_loop().time() - self._waiting[0].since if self._waiting else 0.0

    async def commit(self, item: T, size: int) -> None:
        """Returns once it is written; `size` in bytes. Raises what `write` said of it, or raised, and `Unavailable`
        when too much waits already."""
        await self.submit(item, size)

    def submit(self, item: T, size: int) -> "asyncio.Future[None]":
        """The same for a caller that is no task. Raises `Unavailable` at once."""
        if self._stopped:
            raise _stopping()
        if self._waiting and self._bytes + size > self._most_bytes:
            raise Unavailable("more comes than can be stored", hint="try again in some seconds", retry_after=5.0)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(item, size, loop.time(), loop.create_future())
        self._waiting.append(waiting)
        self._bytes += size
        self._arrived.set()
        return waiting.done

    def bring(self, bring: Callable[[], None], size: int) -> None:
        """Calls it when the next group is gathered, and it may `submit` then; at once when too much waits already.

        A processor reads a hundred requests one after the other in half the time that it takes for each by itself.
        """
        if self._stopped or self._bytes + size > self._most_bytes:
            bring()
            return
        self._bringing.append((bring, size))
        self._bytes += size
        self._arrived.set()

    async def run(self) -> NoReturn:
        """Until it is cancelled; then nobody is left waiting."""
        loop, self._stopped = asyncio.get_running_loop(), False
        try:
            while True:
                await self._arrived.wait()
                began = loop.time()
                await self._gather()
                if group := self._taken():
                    writing = loop.time()
                    await self._write_group(group)
                    self.took = loop.time() - writing
                await asyncio.sleep(began + self._pace - loop.time())
        finally:
            self._stopped = True
            await self._gather(len(self._bringing))
            for waiting in self._taken(len(self._waiting)):
                _settle(waiting, _stopping())

    async def _gather(self, most: int = MOST_AT_ONCE) -> None:
        for number in range(min(most, len(self._bringing))):
            bring, size = self._bringing.popleft()
            self._bytes -= size
            try:
                bring()
            except Exception:  # a bug with one caller's request shall not keep the others from being written
                log.exception("a request could not be read")
            if number % _READ_AT_ONCE == _READ_AT_ONCE - 1:
                await asyncio.sleep(0)

    def _taken(self, most: int = MOST_AT_ONCE) -> list[_Waiting[T]]:
        group = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        self._bytes -= sum(waiting.size for waiting in group)
        self.groups += bool(group)
        self.items += len(group)
        if not self._waiting and not self._bringing:
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
