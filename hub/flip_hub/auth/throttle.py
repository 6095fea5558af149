"""Slows down who guesses passwords: so many failures per minute and address, and no more."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from flip_hub.problem import TooMany

FAILURES = 10
WINDOW = 60.0
"""Seconds."""
ADDRESSES = 10_000
"""Remembered at most; the one that was longest quiet goes first."""


class LoginThrottle:
    """An attempt counts as a failure from its beginning, so that many at once help nobody; success takes it back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def begin(self, address: str) -> None:
        """Raises `TooMany`."""
        now = self._clock()
        failures = self._failures.setdefault(address, deque(maxlen=FAILURES))
        self._failures.move_to_end(address)
        while failures and now - failures[0] > WINDOW:
            failures.popleft()
        if len(failures) == FAILURES:
            wait = WINDOW - (now - failures[0])
            raise TooMany("too many failed logins", hint=f"wait {wait:.0f} s", retry_after=wait)
        failures.append(now)
        if len(self._failures) > ADDRESSES:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        failures = self._failures.get(address)
        if failures:
            failures.pop()
