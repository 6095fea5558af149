"""How many refusals are listed: so many in a minute of one caller and of all, and how many more there were.

Whoever knocks a thousand times a second shall fill neither the registry nor the page on which others are to be seen.
"""

import time
from collections import Counter
from collections.abc import Callable

WINDOW = 60.0
"""Seconds."""
EACH = 20
ALL = 120


class Refusals:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = 0.0
        self._listed: Counter[str] = Counter()
        self._unlisted = 0

    def take(self, caller: str) -> bool:
        """Whether this one is listed; if not, it is counted."""
        if self._clock() >= self._until and not self._unlisted:
            self._begin()
        if self._listed[caller] >= EACH or self._listed.total() >= ALL:
            self._unlisted += 1
            return False
        self._listed[caller] += 1
        return True

    def unlisted(self) -> int:
        """How many were counted in the window that has passed; 0 before that. They are counted no more."""
        if self._clock() < self._until or not self._unlisted:
            return 0
        count = self._unlisted
        self._begin()
        return count

    def due(self) -> float | None:
        """In how many seconds there is a number to tell; None: there is none."""
        return max(0.0, self._until - self._clock()) if self._unlisted else None

    def _begin(self) -> None:
        self._until = self._clock() + WINDOW
        self._listed.clear()
        self._unlisted = 0
