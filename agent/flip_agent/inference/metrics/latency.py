"""How long inference requests take on this device, from a checked request to its outputs."""

import math
from collections import deque
from collections.abc import Collection

from flip_agent.inference.engine.engine import Call
from flip_agent.inference.engine.served_model import Version
from flip_agent.inference.problems import Refusal

_NEWEST = 2048
_ENOUGH = 20
"""Requests; of fewer, the slowest hundredth is a matter of luck."""


class Latencies:
    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_NEWEST)

    def answered(self, call: Call) -> None:
        self._seconds.append(call.seconds)

    def refused(self, model: str, version: Version | None, refusal: Refusal, seconds: float) -> None:
        if seconds:
            self._seconds.append(seconds)

    def take(self) -> tuple[float, int] | None:
        """The p99 in seconds and the number of requests since the last call; None while they are too few to tell."""
        if len(self._seconds) < _ENOUGH:
            return None
        seconds = list(self._seconds)
        self._seconds.clear()
        return percentile(seconds, 0.99), len(seconds)


def percentile(seconds: Collection[float], share: float) -> float:
    """The least of them that `share` of them do not exceed; 0 where there are none."""
    return sorted(seconds)[math.ceil(share * len(seconds)) - 1] if seconds else 0.0
