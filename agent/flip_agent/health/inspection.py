"""Looks at everything that can be wrong with this device, mends what it can, and tells what was mended.

What cannot be mended, or does not help, is tried again after ten minutes; nothing is mended in safe mode.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from flip_agent.health.checks.check import Check
from flip_agent.health.conditions import DATABASE_DAMAGED, Conditions, Declaration, Since
from flip_agent.outbox.outbox import Outbox
from flip_agent.watched import Watched
from flip_wire.health import Condition, Repair
from flip_wire.telemetry import Priority

log = logging.getLogger(__name__)

_LOOK_EVERY = 15.0
"""Seconds; half of what the quickest condition takes to be told."""
_MEND_AGAIN = 600.0
VERIFY_EVERY = 6 * 3600.0
"""Seconds: reading a full outbox holds up its commits for some 0.3 s."""
_REMEMBERED = 10


class Inspection:
    def __init__(
        self,
        checks: Sequence[Check],
        outbox: Outbox,
        may_mend: Callable[[], bool],
        verify_every: float = VERIFY_EVERY,
        earlier: Sequence[Repair] = (),
    ) -> None:
        """`earlier`: what was mended before there was an outbox to tell it to."""
        self._checks = checks
        self._outbox = outbox
        self._may_mend = may_mend
        self._verify_every = verify_every
        self._earlier = deque(earlier)
        self._conditions = Conditions()
        self._mended_at: dict[str, float] = {}
        self.codes: Watched[frozenset[str]] = Watched(frozenset())
        """Of the conditions of which people are told."""
        self.repairs: deque[Repair] = deque(maxlen=_REMEMBERED)
        """The latest, newest last."""

    async def run(self) -> None:
        while self._earlier:
            await self._tell(self._earlier[0])
            self._earlier.popleft()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._verify_outbox())

    def look(self) -> list[Condition]:
        return self._judge(self._found())

    def _judge(self, found: Mapping[Declaration, str]) -> list[Condition]:
        told = self._conditions.update(found, Since(wall=time.time(), monotonic=time.monotonic()))
        self.codes.set(frozenset(condition.code for condition in told))
        return told

    async def mend(self) -> list[Repair]:
        """Whatever is wrong now, at once: what a person asked for."""
        self._mended_at.clear()
        return await self._mend(self._found())

    async def _watch(self) -> None:
        while True:
            found = self._found()
            self._judge(found)
            if self._may_mend():
                await self._mend(found)
            await asyncio.sleep(_LOOK_EVERY)

    async def _mend(self, found: Mapping[Declaration, str]) -> list[Repair]:
        repairs: list[Repair] = []
        for check in self._checks:
            code = check.declaration.code
            due = self._mended_at.get(code, -_MEND_AGAIN) + _MEND_AGAIN <= time.monotonic()
            if due and check.declaration in found:
                self._mended_at[code] = time.monotonic()
                if repair := check.repaired():
                    await self._tell(repair)
                    repairs.append(repair)
        return repairs

    async def _verify_outbox(self) -> None:
        """It was read whole when it was opened. The event that tells of the damage has the outbox begun anew."""
        while True:
            await asyncio.sleep(self._verify_every)
            if damage := await self._outbox.damage():
                text = f"outbox.db was damaged, is kept aside and begun anew: {damage}"
                await self._tell(Repair(code=DATABASE_DAMAGED.code, text=text))

    async def _tell(self, repair: Repair) -> None:
        log.warning("repaired", extra={"condition": repair.code, "done": repair.text})
        await self._outbox.append(Priority.HEALTH, "repair", repair)
        self.repairs.append(repair)

    def _found(self) -> dict[Declaration, str]:
        return {check.declaration: text for check in self._checks if (text := check.look())}
