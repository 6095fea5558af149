"""Who waits for something else to be wanted: a future and an entry in the loop's heap for each, and no task.

No wake-up is lost as long as who waits looks at what is wanted after `listening` and before `woken`.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from enum import Enum, auto

from flip_wire.fleet import DeviceId


class Woken(Enum):
    NOT = auto()
    """The time was over."""
    ALL = auto()
    """Something has changed for every device."""
    ALONE = auto()
    """Something has changed for this device."""


class Poll:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken: asyncio.Future[None] = self._loop.create_future()
        self._by = Woken.NOT

    def end(self, by: Woken) -> None:
        if self._by is not Woken.ALONE:
            self._by = by
        if not self._woken.done():
            self._woken.set_result(None)

    async def woken(self, deadline: float) -> Woken:
        """Waits until the loop's time is `deadline` at most."""
        timer = self._loop.call_at(deadline, self.end, Woken.NOT)
        try:
            await self._woken
        finally:
            timer.cancel()
        return self._by


class Polls:
    def __init__(self) -> None:
        self._waiting: dict[DeviceId, set[Poll]] = {}

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    @contextmanager
    def listening(self, device_id: DeviceId) -> Generator[Poll]:
        poll = Poll()
        self._waiting.setdefault(device_id, set()).add(poll)
        try:
            yield poll
        finally:
            waiting = self._waiting[device_id]
            waiting.remove(poll)
            if not waiting:
                del self._waiting[device_id]

    def wake(self, device_id: DeviceId) -> None:
        for poll in self._waiting.get(device_id, ()):
            poll.end(Woken.ALONE)

    def wake_all(self) -> None:
        for polls in self._waiting.values():
            for poll in polls:
                poll.end(Woken.ALL)
