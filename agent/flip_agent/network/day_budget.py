"""How many bytes this device still exchanges with its hub today: telemetry, models and federation together.

A sixteenth of it is a reserve for alerts and rare heartbeats (`Thrift`); whatever else there is waits once the rest has
passed. Models may have a limit of their own within it. Without a limit nothing is counted and nothing is written.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from flip_agent.hub.connection import OwnLimit
from flip_agent.network.day_account import DayAccount, Use
from flip_wire.health import NetworkUse

log = logging.getLogger(__name__)

_RESERVE = 16
"""The reserve is the day's budget by this."""
_PORTIONS = 64
"""As many in a day at least, so that a kill wastes little."""
_LARGEST_PORTION = 4 * 2**20
_UNLIMITED = 2**62


class Limits(NamedTuple):
    """Bytes a day; 0: none."""

    total: int = 0
    models: int = 0


class Drawn(NamedTuple):
    granted: int
    because: str
    """Why nothing is granted, in words; else empty."""
    limited: bool
    """Whether there is a limit at all."""


class BudgetUsedUp(OwnLimit):
    """The hub has no part in it; it goes on by itself on the next day."""


class DayBudget:
    """For any thread."""

    def __init__(self, account: DayAccount, limits: Callable[[], Limits]) -> None:
        """`limits` as the settings say now."""
        self._account = account
        self._limits = limits
        self._lock = threading.Lock()
        self._disk_full = False

    def used_up(self) -> str:
        """Why only what the reserve is for may pass, in words; empty while something is left for all else."""
        with self._lock:
            return "" if self._left(Use.TELEMETRY) > 0 else self._words("network", self._limits().total)

    def reserve_left(self) -> int:
        with self._lock:
            return self._left(Use.TELEMETRY, reserve=0)

    def tomorrow(self) -> float:
        """When it begins anew, by the hub's clock."""
        with self._lock:
            return self._account.tomorrow

    def count(self, size: int) -> None:
        """Telemetry that passes now: it has asked before (`used_up`, `reserve_left`)."""
        with self._lock:
            if total := self._limits().total:
                self._take(Use.TELEMETRY, size, total)

    def draw(self, wanted: int, beyond: int) -> Drawn:
        """For the federation, in another process: a portion, and all that is `wanted` if there is so much.

        `beyond`: bytes that have passed there and were not granted.
        """
        with self._lock:
            total = self._limits().total
            if not total:
                return Drawn(max(wanted, _LARGEST_PORTION), "", limited=False)
            left = self._left(Use.FEDERATION) - beyond
            granted = max(0, min(left, max(wanted, _portion(total))))
            self._add(Use.FEDERATION, beyond + granted)
            return Drawn(granted, "" if granted else self._words("network", total), limited=True)

    def give_back(self, size: int) -> None:
        """Of what was drawn."""
        with self._lock:
            if self._limits().total and size > 0:
                self._add(Use.FEDERATION, -size)

    def told(self, pace: float) -> NetworkUse | None:
        """None without a limit; `pace`: seconds between heartbeats."""
        with self._lock:
            if not (total := self._limits().total):
                return None
            passed = {use.value: self._account.passed(use) for use in Use}
            left = max(0, total - sum(passed.values()))
            until = 0.0 if self._left(Use.TELEMETRY) > 0 else self._account.tomorrow
            return NetworkUse(limit=total, left=left, passed=passed, pace=pace, until=until)

    # ---- models: an Allowance for downloads ----

    def left(self) -> int | None:
        """None without a limit. Raises `BudgetUsedUp`, which says until when, when there are none."""
        with self._lock:
            total, models = self._limits()
            own = models - self._account.passed(Use.MODELS) if models else _UNLIMITED
            left = min(own, self._left(Use.MODELS))
            if left > 0:
                return None if left > _UNLIMITED // 2 else left
            if own <= 0:
                raise BudgetUsedUp(self._words("download", models), hint="or raise models.download_budget")
            raise BudgetUsedUp(self._words("network", total), hint="or raise network.daily_bytes")

    def take(self, count: int) -> None:
        """So many bytes come now. Raises `OwnLimit` when they cannot be counted, or are too many."""
        with self._lock:
            total, models = self._limits()
            if not (total or models):
                return
            before = self._account.passed(Use.MODELS)
            left = min(models - before if models else _UNLIMITED, self._left(Use.MODELS))
            self._take(Use.MODELS, count, models or total, most=max(left, count))
            if self._disk_full:
                raise OwnLimit(f"cannot write {self._account.file}", hint="make room on the disk")
        if count > left:
            self.left()

    def settle(self) -> None:
        """At the end of a download."""
        with self._lock:
            self._written(lambda: self._account.settle(Use.MODELS))

    # ---- under the lock ----

    def _left(self, use: Use, reserve: int = _RESERVE) -> int:
        if not (total := self._limits().total):
            return _UNLIMITED
        return total - (total // reserve if reserve else 0) - self._account.counted(without=use)

    def _take(self, use: Use, size: int, limit: int, most: int = _UNLIMITED) -> None:
        self._written(lambda: self._account.take(use, size, min(_portion(limit), most)))

    def _add(self, use: Use, size: int) -> None:
        self._written(lambda: self._account.add(use, size))

    def _written(self, write: Callable[[], None]) -> None:
        """On a full disk it is counted in memory: alerts that say so must go."""
        try:
            write()
            self._disk_full = False
        except OSError as error:
            if not self._disk_full:
                log.warning("the day's bytes are not written", extra={"reason": str(error)})
            self._disk_full = True

    def _words(self, name: str, limit: int) -> str:
        until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self._account.tomorrow))
        return f"today's {name} budget of {limit:,} bytes is used up; it goes on at {until}"


def _portion(limit: int) -> int:
    return min(_LARGEST_PORTION, max(1, limit // _PORTIONS))
