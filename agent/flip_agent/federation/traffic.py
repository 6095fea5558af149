"""Counts what a session exchanges with the fleet against the day's budget, which `run` keeps: a call begins only while
something is left, and what it brings counts even beyond that.

For any thread but the loop's own.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

import httpx

from flip_agent.local.messages import Drawn
from flip_runtime.errors import Unavailable

HEADS = 2**10
"""Bytes that the heads of a call count for: with a signature some 900."""
_LOOK_AGAIN = 15.0
"""Seconds after which it is asked again whether there is something left: a budget may be raised at any time."""
_GRANTED_WITHIN = 30.0

Draw = Callable[[int, int], Awaitable[Drawn]]
"""Bytes wanted, and bytes that passed beyond what was granted."""


class Traffic:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._draw: Draw | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._credit = 0
        """Bytes that are granted; below zero: that have passed beyond."""

    def drawn_by(self, draw: Draw) -> None:
        """Called on the loop on which `draw` is awaited. Until then nothing counts."""
        self._loop = asyncio.get_running_loop()
        self._draw = draw

    @contextmanager
    def call(self, size: int) -> Generator[Callable[[int], None]]:
        """Around a call whose body has `size` bytes; what is given is told how many came.

        Raises `Unavailable` when nothing may pass today.
        """
        if self._draw is None:
            yield lambda came: None
            return
        self._take(size + HEADS)
        try:
            yield self._count
        except (httpx.ConnectError, httpx.ConnectTimeout):
            self._count(-size - HEADS)  # nothing has passed
            raise

    def unused(self) -> int:
        """What was granted and is not needed any more."""
        with self._lock:
            credit, self._credit = max(0, self._credit), 0
        return credit

    def _take(self, size: int) -> None:
        with self._lock:
            if self._credit < size:
                drawn = self._ask(size - max(0, self._credit), max(0, -self._credit))
                self._credit = max(0, self._credit) + drawn.granted
                if self._credit <= 0:
                    raise Unavailable(drawn.because, hint="or raise network.daily_bytes", retry_after=_LOOK_AGAIN)
            self._credit -= size

    def _ask(self, wanted: int, beyond: int) -> Drawn:
        assert self._draw is not None
        assert self._loop is not None
        asked = asyncio.run_coroutine_threadsafe(_awaited(self._draw(wanted, beyond)), self._loop)
        return asked.result()

    def _count(self, size: int) -> None:
        with self._lock:
            self._credit -= size


async def _awaited(drawn: Awaitable[Drawn]) -> Drawn:
    try:
        async with asyncio.timeout(_GRANTED_WITHIN):
            return await drawn
    except TimeoutError as error:
        raise Unavailable("flip-agent run does not say what is left of the day's bytes") from error
