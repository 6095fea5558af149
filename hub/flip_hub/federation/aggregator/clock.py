"""By which clock a ServerApp waits for devices: the machine's, or that of a fault lab (`lab_line`)."""

import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Seconds, from any moment on."""
        ...

    def sleep(self, seconds: float, left: float | None = None) -> None:
        """Until it is worth another look. `left`: what the caller would wait at most when nothing came."""
        ...


class MachineClock:
    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, left: float | None = None) -> None:
        time.sleep(seconds)
