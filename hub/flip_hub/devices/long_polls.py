"""A device waits for what it shall do: answered at once when something else is wanted of it than it has."""

import asyncio
from collections.abc import Awaitable, Callable

from flip_hub.devices.fleet_desired import FleetDesired
from flip_hub.devices.polls import Polls, Woken
from flip_hub.devices.record import DeviceRecord
from flip_wire.fleet import DesiredState, DeviceId


class LongPolls:
    """`read` gives a device's record as it is now, `enrolled` as it was two seconds ago at most; both raise as
    `DeviceService.check_enrolled` does."""

    def __init__(
        self,
        fleet: FleetDesired,
        polls: Polls,
        enrolled: Callable[[DeviceId], Awaitable[DeviceRecord]],
        read: Callable[[DeviceId], Awaitable[DeviceRecord]],
    ) -> None:
        self._fleet = fleet
        self._polls = polls
        self._enrolled = enrolled
        self._read = read
        self._closing = False

    async def wait(self, device_id: DeviceId, after: int | None, seconds: float) -> DesiredState | None:
        """None when the generation is still `after`. When all are woken, the record of a device for which nothing has
        changed is not read again."""
        deadline = asyncio.get_running_loop().time() + seconds
        record: DeviceRecord | None = None
        while True:
            with self._polls.listening(device_id) as poll:
                record = record or await self._enrolled(device_id)
                desired = record.desired(await self._fleet.read())
                if after is not None and desired.generation < after:  # this hub remembers less than another has told
                    record = await self._read(device_id)
                    desired = record.desired(await self._fleet.look())
                if desired.generation != after:
                    return desired
                woken = Woken.NOT if self._closing else await poll.woken(deadline)
            if woken is Woken.NOT:
                return None
            if woken is Woken.ALONE:
                record = None

    def close(self) -> None:
        """Ends them all."""
        self._closing = True
        self._polls.wake_all()
