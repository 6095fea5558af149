"""How long one exchange with devices goes on, and whether it counts: the plan's rules without clock or I/O but time."""

import math
from collections.abc import Callable, Collection

from flip_hub.federation.aggregator.clock import Clock
from flip_hub.federation.plan import RoundRules
from flip_hub.federation.schemas import Phase

_FIRST_LOOK = 0.05
_SLOWEST_LOOK = 1.0
"""Seconds."""


class Wait:
    def __init__(
        self,
        rules: RoundRules,
        phase: str,
        asked: int,
        timeout: float | None,
        clock: Clock,
    ) -> None:
        """`asked`: devices that the strategy chose; `timeout` is its own time limit, in seconds."""
        self.training = training = phase == Phase.TRAIN
        self._wanted = asked
        self._limit = rules.deadline or timeout if phase in set(Phase) else timeout
        self._quorum = math.ceil(rules.quorum * asked) if training else 0
        self.extra = math.ceil(rules.over_sample * asked) if training else 0
        """Devices to ask beside those."""
        self._clock = clock
        self._began = clock.now()
        self.ended_because = ""

    def is_over(self, results: Callable[[], int], waiting: Collection[str]) -> bool:
        """And if so, `ended_because` says why, for those that have not answered. `results`: how many are of use."""
        if not waiting:
            return True
        if self.extra and results() >= self._wanted:
            self.ended_because = f"its round had its {self._wanted} results before"
        elif self._limit is not None and self.left() <= 0:
            self.ended_because = f"its round had ended after {self._limit:g} s"
        return bool(self.ended_because)

    def next_look(self) -> float:
        """Seconds until then."""
        waited = self._clock.now() - self._began
        return max(0.0, min(max(_FIRST_LOOK, waited / 10), _SLOWEST_LOOK, self.left()))

    def void(self, results: int) -> str:
        """Why the round changes nothing; empty when it counts."""
        if results >= self._quorum:
            return ""
        return f"the round is void: {results} results of {self._wanted} devices asked, its quorum is {self._quorum}"

    def left(self) -> float:
        """Seconds until the limit."""
        return float("inf") if self._limit is None else self._limit - (self._clock.now() - self._began)
