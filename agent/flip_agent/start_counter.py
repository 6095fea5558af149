"""Breaks a crash loop: counts starts that came to no good end, on the disk, before anything risky is done.

Three quick failures in a row turn off what is optional, five leave only what is needed to help from afar. An orderly
stop, or a minute of good health, clears the count; a reduced mode is left by itself after a while, on probation: the
next quick failure leads straight back.
"""

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from flip_agent.watched import Watched
from flip_runtime.atomic import write_file
from flip_runtime.errors import ConfigError

log = logging.getLogger(__name__)

FILE = "starts.json"


class Mode(StrEnum):
    NORMAL = "normal"
    REDUCED = "reduced"
    """No training, no serving by `run`, no new versions."""
    SAFE = "safe"
    """Besides, no repairs: heartbeat, return to an earlier version, status and doctor."""


FAILURES = {Mode.SAFE: 5, Mode.REDUCED: 3}
"""Quick ones in a row, from which on it is so."""


class Pace(Struct, frozen=True, kw_only=True):
    settled_after: float = 60.0
    """Seconds of running after which a start was a good one."""
    reduced_for: float = 600.0
    safe_for: float = 3600.0
    """Seconds until everything is tried again."""


def mode_after(failures: int) -> Mode:
    return next((mode for mode, limit in FAILURES.items() if failures >= limit), Mode.NORMAL)


class Starts(Struct, frozen=True):
    unsettled: int = 0
    """Starts since the last that was a good one."""


class StartCounter:
    """`mode` is what this start may do."""

    def __init__(self, state: Path, pace: Pace | None = None) -> None:
        self._path = state / FILE
        self._pace = pace or Pace()
        self.failures = _read(self._path)
        """Before this start."""
        self.mode = Watched(mode_after(self.failures))
        self.settled = Watched(False)
        """Whether this start was a good one."""

    @contextmanager
    def counted(self) -> Generator[None]:
        """Around the life of the daemon. What the operator must change is no failure of the agent."""
        self._write(self.failures + 1)
        if self.mode.value is not Mode.NORMAL:
            log.error("too many quick failures", extra={"failures": self.failures, "mode": str(self.mode.value)})
        try:
            yield
        except ConfigError:
            self._write(self.failures)
            raise
        self._write(0)

    async def run(self) -> None:
        """Returns when nothing is left to wait for."""
        if self.mode.value is not Mode.NORMAL:
            stay = {Mode.REDUCED: self._pace.reduced_for, Mode.SAFE: self._pace.safe_for}[self.mode.value]
            await asyncio.sleep(stay)
            log.warning("trying everything again", extra={"mode_was": str(self.mode.value)})
            self._write(FAILURES[Mode.REDUCED])
            self.mode.set(Mode.NORMAL)
        await asyncio.sleep(self._pace.settled_after)
        self._write(0)
        self.settled.set(True)

    def _write(self, unsettled: int) -> None:
        try:
            write_file(self._path, msgspec.json.encode(Starts(unsettled)))
        except OSError as error:  # a full disk must not keep the agent from starting
            log.warning("starts cannot be counted", extra={"file": str(self._path), "reason": error.strerror})


def _read(path: Path) -> int:
    """A damaged file counts as none: the next crash is counted again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Starts).unsettled
    except (OSError, ValueError):  # also of text that is no UTF-8
        return 0
