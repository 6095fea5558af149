"""Notices within a second what other hubs have changed of devices and of what the fleet shall do.

It reads the registry, so it needs no bus; a bus only makes it look at once. Times are the registry's own.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from flip_hub.devices.fleet_desired import FleetDesired
from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.store import DeviceStore
from flip_wire.fleet import DeviceId

LOOK_EVERY = 1.0
"""Seconds."""
LATE = 3.0
"""Seconds after a look at which nobody may rely any more on having heard of what has changed."""
_OVERLAP = timedelta(seconds=10)
"""Of one look with the one before: writes become visible out of their order, and the registry's members have a clock
each."""


class Changes:
    """`on_device` is called with each changed record, `on_fleet` when something else is wanted of all."""

    def __init__(
        self,
        store: DeviceStore,
        fleet: FleetDesired,
        on_device: Callable[[DeviceRecord], None],
        on_fleet: Callable[[], None],
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._on_device = on_device
        self._on_fleet = on_fleet
        self._hint = asyncio.Event()
        self._looked = float("-inf")
        """When the last look began that has told of everything."""
        self._generation: int | None = None
        self._known: dict[DeviceId, datetime] = {}
        """Of the time of the overlap: when each had changed that was told of."""

    @property
    def watched(self) -> bool:
        """Whether what has changed is told of, but for the last seconds."""
        return time.monotonic() - self._looked < LATE

    def hint(self) -> None:
        """Look at once."""
        self._hint.set()

    async def watch(self) -> None:
        """Until it is cancelled. Raises `DatabaseDown`; then it is to be called again."""
        since = await self._store.now()
        while True:
            since = await self._look(since)
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self._hint.wait()
            except TimeoutError:
                pass
            self._hint.clear()

    async def _look(self, since: datetime) -> datetime:
        began = time.monotonic()
        changed = await self._store.changed_since(since - _OVERLAP)
        for at, record in changed:
            if self._known.get(record.id) != at:
                self._on_device(record)
        newest = max((at for at, _ in changed), default=since)
        self._known = {record.id: at for at, record in changed}
        generation = (await self._fleet.look()).generation
        if self._generation not in (None, generation):
            self._on_fleet()
        self._generation = generation
        self._looked = began
        return max(since, newest)
