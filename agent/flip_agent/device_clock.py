"""When something happened on this device: by its wall clock, and by one that no one sets and that tells boots apart."""

import time
import uuid
from pathlib import Path

from flip_wire.telemetry import Stamp

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine sleeps, where there is such a clock."""


class DeviceClock:
    def __init__(self) -> None:
        self._boot_id = _boot_id()

    def stamp(self) -> Stamp:
        return Stamp(wall=time.time(), monotonic=time.clock_gettime(_CLOCK), boot_id=self._boot_id)


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:  # not Linux: this process's life stands in for the machine's
        return str(uuid.uuid4())
