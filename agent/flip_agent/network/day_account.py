"""What has passed between this device and its hub on a day (UTC), by what it was for: a small file, written before.

Bytes are counted in portions, so that a kill or a power cut can only waste the rest of a portion.
"""

import logging
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from flip_runtime.atomic import write_file

log = logging.getLogger(__name__)

FILE = "network.json"
DAY = 86400


class Use(StrEnum):
    TELEMETRY = "telemetry"
    """Desired state and tokens included."""
    MODELS = "models"
    FEDERATION = "federation"


_OTHER_DAYS = 3
"""That are remembered: a device without a clock of its own begins each start on another day, until the hub says which
it is, and what has passed today is not free again for that."""


class Spent(Struct, frozen=True, kw_only=True):
    day: int
    """Since the epoch."""
    bytes: dict[Use, int] = {}
    """What is reserved included."""
    others: dict[int, dict[Use, int]] = {}
    """Of the days before it, in the order in which they were left."""

    def turned(self, day: int) -> "Spent":
        others = {each: spent for each, spent in {**self.others, self.day: self.bytes}.items() if spent}
        return Spent(day=day, bytes=others.pop(day, {}), others=dict([*others.items()][-_OTHER_DAYS:]))


class DayAccount:
    """For one thread at a time."""

    def __init__(self, file: Path, hub_time: Callable[[], float]) -> None:
        self.file = file
        self._hub_time = hub_time
        self._spent = _read(file)
        self._reserved: dict[Use, int] = {}
        """Bytes that are counted and have not passed yet."""

    @property
    def tomorrow(self) -> float:
        self._turn_day()
        return (self._spent.day + 1) * float(DAY)

    def passed(self, use: Use) -> int:
        self._turn_day()
        return self._spent.bytes.get(use, 0) - self._reserved.get(use, 0)

    def counted(self, *, without: Use) -> int:
        """By all uses; what is reserved included, but for that of `without`."""
        self._turn_day()
        return sum(self._spent.bytes.values()) - self._reserved.get(without, 0)

    def take(self, use: Use, size: int, portion: int) -> None:
        """So many bytes pass now. Where they are not counted yet, a portion is. Raises `OSError`; then they are counted
        until the process ends."""
        self._turn_day()
        reserved = self._reserved.get(use, 0)
        more = max(portion, size - reserved) if size > reserved else 0
        self._reserved[use] = reserved + more - size
        self.add(use, more)

    def settle(self, use: Use) -> None:
        """What was reserved and did not pass is free again. Raises `OSError`."""
        self.add(use, -self._reserved.pop(use, 0))

    def add(self, use: Use, size: int) -> None:
        """Counts exactly; less than nothing gives back. Raises `OSError` as `take`."""
        self._turn_day()
        if size:
            counted = max(0, self._spent.bytes.get(use, 0) + size)
            self._spent = replace(self._spent, bytes={**self._spent.bytes, use: counted})
            write_file(self.file, msgspec.json.encode(self._spent))

    def _turn_day(self) -> None:
        today = int(self._hub_time() // DAY)
        if self._spent.day != today:
            self._spent = self._spent.turned(today)
            self._reserved.clear()


def _read(path: Path) -> Spent:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Spent)
    except FileNotFoundError:
        return Spent(day=0)
    except (OSError, ValueError) as error:  # also of text that is no UTF-8
        log.warning("the day's bytes are counted anew", extra={"file": str(path), "error": str(error)})
        return Spent(day=0)
