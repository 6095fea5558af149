"""Exponential backoff with full jitter (M. Brooker, "Exponential Backoff and Jitter", 2015)."""

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """A delay for each failure in a row, uniformly drawn below a ceiling that doubles from `first` to `most`."""

    first: float = 1.0
    """Seconds."""
    most: float = 300.0
    """Seconds: a hub that was away for a night is found again within five minutes."""

    def ceiling(self, failures: int) -> float:
        return min(self.most, self.first * 2.0 ** min(failures - 1, 30))

    def delay(self, failures: int, draw: Callable[[], float] = random.random) -> float:
        """Seconds to wait after that many failures in a row (at least one)."""
        return draw() * self.ceiling(failures)
