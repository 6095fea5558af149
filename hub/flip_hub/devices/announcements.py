"""Tells the consoles of devices that were heard: news at once, the rest as far as there is room.

That a device was heard again is worth a frame a second, and all devices together `FRAMES` of them: of ten thousand that
call every ten seconds a console is not told a thousand times a second. Who has waited longest is told first, and
always what is newest of it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import NoReturn

from flip_hub.devices.record import DeviceRecord
from flip_wire.fleet import DeviceId

FRAMES = 50
"""A second, beside news."""
EACH = 1.0
"""Seconds between two frames of a device."""
_LOOK_EVERY = 0.2
"""Seconds."""


class Announcements:
    def __init__(
        self,
        publish: Callable[[DeviceRecord], Awaitable[object]],
        watched: Callable[[], bool],
        *,
        frames: int = FRAMES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish = publish
        self._watched = watched
        self._frames = frames
        self._clock = clock
        self._room = float(frames)
        self._looked = clock()
        self._told: dict[DeviceId, float] = {}
        """When; of the last second."""
        self._later: dict[DeviceId, DeviceRecord] = {}

    async def heard(self, before: DeviceRecord, after: DeviceRecord, *, news: bool) -> None:
        """`news`: also when nothing that the device says has changed."""
        if news:
            await self._tell(after)
        elif not self._watched():
            self._later.clear()
        elif _says(before) != _says(after):
            await self._tell(after)
        else:
            self._later[after.id] = after
            if len(self._later) == 1:  # nobody waits, so perhaps it need not either
                await self.look()

    async def look(self) -> None:
        """Tells of those who may be told of now."""
        now = self._clock()
        self._room = min(self._frames, self._room + (now - self._looked) * self._frames)
        self._looked = now
        if self._room < 1:
            return
        self._told = {device: at for device, at in self._told.items() if now - at < EACH}
        for device in list(islice((each for each in self._later if each not in self._told), int(self._room))):
            if record := self._later.get(device):
                self._room -= 1
                await self._tell(record)

    async def run(self) -> NoReturn:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            await self.look()

    async def _tell(self, record: DeviceRecord) -> None:
        self._later.pop(record.id, None)
        self._told[record.id] = self._clock()
        await self._publish(record)


def _says(record: DeviceRecord) -> tuple[object, ...]:
    """What people look at."""
    codes = [] if record.health is None else [condition.code for condition in record.health.conditions]
    return record.reported, codes, record.intake.dropped
