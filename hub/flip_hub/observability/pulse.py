"""How this process is: whether its event loop keeps up, how much memory it holds, how soon MongoDB and Redis answer."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NoReturn

from flip_hub.observability.metrics import Labels, Metrics, one

LOOK_EVERY = 0.5
"""Seconds between looks at the event loop: what holds it up for longer is seen whole."""
ASK_EVERY = 5.0
"""Seconds between questions to MongoDB and Redis."""
_REMEMBERED = 120
"""Looks over which the longest lag is told: a minute, so that no scrape misses it."""
_PAGE = os.sysconf("SC_PAGE_SIZE")

Ask = Callable[[], Awaitable[str]]
"""As `flip_hub.health.Check`: says what is wrong, or nothing."""


class Pulse:
    def __init__(self, metrics: Metrics, parts: Mapping[str, Ask]) -> None:
        self._parts = dict(parts)
        self._lags: list[float] = []
        self._answered: dict[Labels, float] = {}
        self._up: dict[Labels, float] = {}
        metrics.gauge(
            "flip.event_loop.lag", "Longest time in the last minute that the event loop was held up.",
            one(lambda: max(self._lags, default=0.0)), unit="s",
        )  # fmt: skip
        metrics.gauge("process.resident_memory", "Of the hub's process.", one(resident_memory), unit="By")
        metrics.counter("process.cpu", "CPU time of the hub's process.", one(time.process_time), unit="s")
        metrics.gauge("process.open_fds", "Files and sockets of the hub's process.", one(_open_files))
        metrics.gauge("flip.part.up", "Whether it answers.", lambda: self._up, labels=("part",))
        metrics.gauge(
            "flip.part.answer", "How long it took to answer last.", lambda: self._answered, unit="s", labels=("part",)
        )

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look())
            group.create_task(self._ask())

    async def _look(self) -> NoReturn:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOK_EVERY
            await asyncio.sleep(LOOK_EVERY)
            self._lags = [*self._lags[1 - _REMEMBERED :], max(0.0, loop.time() - due)]

    async def _ask(self) -> NoReturn:
        while True:
            for name, ask in self._parts.items():
                began = time.perf_counter()
                self._up[name,] = not await ask()
                self._answered[name,] = time.perf_counter() - began
            await asyncio.sleep(ASK_EVERY)


def resident_memory() -> float:
    """Bytes; 0 where the system has no /proc."""
    try:
        return float(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0.0


def _open_files() -> float:
    try:
        return float(len(os.listdir("/proc/self/fd")))
    except OSError:
        return 0.0
