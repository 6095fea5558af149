"""How many bytes of model files this device still downloads today, by the hub's clock in UTC; never more than it may.

Counted on the disk before they come, in portions, so that a kill or a power cut can only waste the rest of a portion:
a portion is a small write. Without a limit nothing is counted and nothing is written.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from flip_agent.hub.connection import OwnLimit
from flip_runtime.atomic import write_file

log = logging.getLogger(__name__)

FILE = "budget.json"
_PORTION = 4 * 2**20
"""Bytes between two writes at most, and a sixteenth of the budget at most."""
_LEAST_PORTION = 64 * 2**10
_DAY = 86400


class Spent(Struct, frozen=True, kw_only=True):
    day: int
    """Since the epoch."""
    taken: int
    """Bytes, what is reserved included."""


class BudgetUsedUp(OwnLimit):
    """The hub has no part in it; it goes on by itself on the next day."""


class DownloadBudget:
    def __init__(self, folder: Path, limit: Callable[[], int], hub_time: Callable[[], float]) -> None:
        """`folder` is the model store's; `limit` in bytes a day as the settings say now, 0 for none."""
        self._path = folder / FILE
        self._limit = limit
        self._hub_time = hub_time
        self._spent = _read(self._path)
        self._reserved = 0
        """Bytes that are counted and have not come yet."""

    def left(self) -> int | None:
        """Bytes; None without a limit. Raises `BudgetUsedUp`, which says until when, when there are none."""
        limit = self._limit()
        if not limit:
            return None
        left = limit - self._taken_today() + self._reserved
        if left <= 0:
            tomorrow = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime((self._today() + 1) * _DAY))
            reason = f"today's download budget of {limit:,} bytes is used up; it goes on at {tomorrow}"
            raise BudgetUsedUp(reason, hint="or raise models.download_budget")
        return left

    def take(self, count: int) -> None:
        """So many bytes have come. Raises `OwnLimit` when no more may, as they cannot be counted or are too many."""
        limit = self._limit()
        if not limit:
            return
        if count > self._reserved:
            portion = max(_LEAST_PORTION, min(_PORTION, limit // 16), count)
            portion = max(count - self._reserved, min(portion, limit - self._taken_today()))
            self._write(self._taken_today() + portion)
            self._reserved += portion
        self._reserved -= count
        if self._taken_today() > limit:
            self.left()

    def settle(self) -> None:
        """At the end of a download: what was reserved and did not come is free again."""
        if self._reserved:
            reserved, self._reserved = self._reserved, 0
            self._write(max(0, self._taken_today() - reserved))

    def _taken_today(self) -> int:
        return self._spent.taken if self._spent.day == self._today() else 0

    def _today(self) -> int:
        return int(self._hub_time() // _DAY)

    def _write(self, taken: int) -> None:
        spent = Spent(day=self._today(), taken=taken)
        try:
            write_file(self._path, msgspec.json.encode(spent))
        except OSError as error:
            raise OwnLimit(f"cannot write {self._path}: {error.strerror}", hint="make room on the disk") from error
        self._spent = spent


def _read(path: Path) -> Spent:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Spent)
    except FileNotFoundError:
        return Spent(day=0, taken=0)
    except (OSError, ValueError) as error:  # also of text that is no UTF-8
        log.warning("the download budget is counted anew", extra={"file": str(path), "error": str(error)})
        return Spent(day=0, taken=0)
