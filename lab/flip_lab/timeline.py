"""The lab's clock: stands still while anybody does something, and then goes to what comes next.

Each device is a coroutine that waits here; of those that wait for the same moment the one with the lowest number is
first in line, and all go on together. So the same draws give the same order, however fast the machine is.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from flip_runtime.errors import Unavailable

_PATIENCE = 600.0
"""Seconds, real ones, that devices may take for what takes no time in the lab: a hang ends the lab with an error."""


_LOOKS = 10
"""That the ServerApp may take in no time after something has come, when no device has anything more to do."""
_LOOK_AGAIN = 0.2
"""Seconds, real ones, before each of them."""
_TICK = 1e-6
"""Seconds: less than that would be lost in the rounding of a large sum, and time would stand still."""


class _Waiting(NamedTuple):
    moment: float
    number: int
    go_on: asyncio.Future[None]


class Timeline:
    def __init__(self) -> None:
        self.now = 0.0
        """Seconds since the lab began."""
        self.over = False
        """Nobody asks devices for anything more."""
        self._waiting: list[_Waiting] = []
        self._idle: dict[int, asyncio.Future[None]] = {}
        self._wanted: Counter[int] = Counter()
        """Messages for devices that were at work when they came."""
        self._awake = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._delivered = False
        self._looks = 0

    # ---- for devices ----

    async def until(self, moment: float, number: int) -> None:
        """`number`: the device's."""
        go_on = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, _Waiting(max(moment, self.now), number, go_on))
        await self._sleep(go_on)

    async def work(self, number: int) -> None:
        """Until there is a message for the device."""
        if self._wanted[number]:
            self._wanted[number] -= 1
            await self.until(self.now, number)
            return
        self._idle[number] = asyncio.get_running_loop().create_future()
        await self._sleep(self._idle[number])

    def delivered(self) -> None:
        """Something has come to the hub."""
        self._delivered, self._looks = True, _LOOKS

    async def living(self, life: Callable[[], Awaitable[None]]) -> None:
        """Runs a device; time goes on when it waits here, or has ended."""
        self._wake_up()
        try:
            await life()
        finally:
            self._fall_asleep()

    # ---- for the lab ----

    def call(self, number: int) -> None:
        """There is one more message for that device."""
        if (idle := self._idle.pop(number, None)) is not None:
            heapq.heappush(self._waiting, _Waiting(self.now, number, idle))
        else:
            self._wanted[number] += 1

    async def go_on(self, seconds: float) -> None:
        """Until something has come to the hub, or so many seconds have passed. While no device has anything to do, it
        may be that the hub is slow to show the ServerApp what has come: then it looks again before time leaps to its
        limit."""
        await self.quiet()
        if not self._waiting and seconds and self._looks:
            self._looks -= 1
            await asyncio.sleep(_LOOK_AGAIN)
            return
        target, self._delivered = self.now + (max(seconds, _TICK) if seconds else 0.0), False
        while self._waiting and self._waiting[0].moment <= target:
            await self._next()
            if self._delivered:
                return
        self.now = target

    async def to_the_end(self) -> None:
        """Until all devices wait for messages, which do not come any more."""
        self.over = True
        await self.quiet()
        while self._waiting:
            await self._next()

    async def quiet(self) -> None:
        """Raises `Unavailable` when a device takes too long."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._quiet.wait()
        except TimeoutError as error:
            raise Unavailable(f"devices of the lab have done nothing for {_PATIENCE:g} s") from error

    async def _next(self) -> None:
        self.now = moment = self._waiting[0].moment
        while self._waiting and self._waiting[0].moment == moment:
            waiting = heapq.heappop(self._waiting)
            self._wake_up()
            waiting.go_on.set_result(None)
        await self.quiet()

    async def _sleep(self, go_on: asyncio.Future[None]) -> None:
        self._fall_asleep()
        await go_on  # who wakes it has counted it

    def _wake_up(self) -> None:
        self._awake += 1
        self._quiet.clear()

    def _fall_asleep(self) -> None:
        self._awake -= 1
        if not self._awake:
            self._quiet.set()
