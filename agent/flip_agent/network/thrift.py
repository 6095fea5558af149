"""What still goes to the hub once the day's budget is used up: alerts at once, heartbeats seldom, all else tomorrow.

Heartbeats and questions after the desired state share half of what the reserve then holds, evenly over the rest of the
day; the other half is for alerts. When the reserve is used up, too, nothing passes until tomorrow.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from flip_agent.network.day_budget import DayBudget
from flip_agent.watched import Watched
from flip_wire.telemetry import Priority

log = logging.getLogger(__name__)

_LOOK_EVERY = 2.0
"""Seconds: so late is a new day, or a raised budget, noticed at most."""
_RARER = 10
"""Heartbeats are this many times as rare at least."""
_BEAT = 6 * 2**10
"""Bytes of a heartbeat, of asking for the desired state, and of a handshake for each."""
_TOO_SOON = 0.9
"""Of the pace: heartbeats are not made to the second."""
_TELLS_WITHIN = 20.0
"""Seconds, in which conditions and governor have said what the first rare heartbeat must tell."""
EVENTS = 64
"""Of a batch of heartbeats, in which older ones may wait before them."""


class Thrift:
    def __init__(self, budget: DayBudget, heartbeat: Watched[float], hub_time: Callable[[], float]) -> None:
        """`heartbeat`: seconds, as the settings say."""
        self._budget = budget
        self._heartbeat = heartbeat
        self._hub_time = hub_time
        self.used_up = Watched("")
        """Why, in words; empty while there is something left."""
        self.pace = Watched(heartbeat.value)
        """Seconds between heartbeats."""
        self._due_at = 0.0
        """By a monotonic clock: when the next one may go."""

    async def run(self) -> None:
        while True:
            self.look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._heartbeat.other_than(self._heartbeat.value)

    def look(self) -> None:
        because = self._budget.used_up()
        if because and not self.used_up.value:
            log.warning("thrift", extra={"because": because})
            self._due_at = time.monotonic() + _TELLS_WITHIN
            self.pace.set(self._rare())
        elif not because:
            self.pace.set(self._heartbeat.value)
        self.used_up.set(because)

    def may_go(self) -> tuple[Priority, ...]:
        """What may be sent now."""
        self.look()
        if not self.used_up.value:
            return tuple(Priority)
        if self._budget.reserve_left() <= 0:
            return ()
        due = time.monotonic() >= self._due_at
        return (Priority.ALERT, Priority.HEALTH) if due else (Priority.ALERT,)

    def went(self, priority: Priority) -> None:
        if priority is Priority.HEALTH:
            self._due_at = time.monotonic() + _TOO_SOON * self.pace.value

    async def more(self) -> None:
        """Returns when something may go that could not before."""
        seen, left = self.used_up.value, self._due_at - time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left if seen and left > 0 else None):
                await self.used_up.other_than(seen)

    async def rest(self) -> None:
        """Between two questions: no time while there is something left; else until a heartbeat is due."""
        self.look()
        while self.used_up.value:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.pace.value):
                    await self.used_up.until(lambda because: not because)
            if self._budget.reserve_left() > 0:
                return

    def _rare(self) -> float:
        """Seconds."""
        beats = max(1, self._budget.reserve_left() // 2 // _BEAT)
        rest_of_day = max(0.0, self._budget.tomorrow() - self._hub_time())
        return max(_RARER * self._heartbeat.value, rest_of_day / beats)
