"""Which nodes take part in a run, by what the hub knows of the devices behind them and what the plan asks for."""

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from flip_hub.federation.brief import NodeFacts
from flip_runtime.errors import Rejected, Unavailable

log = logging.getLogger("flwr.flip")

_FRESH = 1.0
"""Seconds: a strategy that waits for devices looks once a second."""
_PAUSE = 30.0
"""Seconds without a look after which nobody waits for devices any more: the app does something else."""
_NAMED = 3


class Facts(Protocol):
    def __call__(self) -> Mapping[int, NodeFacts]:
        """Of all nodes the hub knows."""
        ...


class Roster:
    def __init__(
        self, facts: Facts, wait: float, clock: Callable[[], float] = time.monotonic, *, strangers: str = ""
    ) -> None:
        """`wait`: seconds that a strategy may look for devices in vain; `strangers`: why nodes that the hub does not
        know take no part, empty when they do."""
        self._facts = facts
        self._wait = wait
        self._strangers = strangers
        self._clock = clock
        self._known: Mapping[int, NodeFacts] = {}
        self._known_at = float("-inf")
        self._looking_since = float("-inf")
        self._looked_at = float("-inf")

    def of(self, node: int) -> NodeFacts | None:
        return self._known.get(node)

    def taking_part(self, nodes: Iterable[int]) -> list[int]:
        """In an order that is the same for the same nodes. Raises `Rejected` when they were too few for too long."""
        now = self._clock()
        if now - self._known_at >= _FRESH:
            self._known, self._known_at = self._newest(), now
        present = sorted(nodes)
        able = [node for node in present if not self._barred(node)]
        if now - self._looked_at > _PAUSE:
            self._looking_since = now
        self._looked_at = now
        if now - self._looking_since > self._wait:
            raise Rejected(
                f"too few devices for {self._wait:g} s: {len(able)} of the {len(present)} online may take part"
                f"{self._why(present)}",
                hint="lower what the strategy needs, widen the plan's device filter, or raise its wait",
            )
        return able

    def asked(self) -> None:
        """The strategy has found enough of them."""
        self._looked_at = float("-inf")

    def others(self, asked: set[int], nodes: Iterable[int], count: int) -> list[int]:
        """So many more that take part, drawn; fewer where there are no more."""
        free = [node for node in self.taking_part(nodes) if node not in asked]
        self.asked()
        return random.sample(free, min(count, len(free)))

    def _newest(self) -> Mapping[int, NodeFacts]:
        """Or what was known last, while the hub does not answer: a run outlives its registry's absence."""
        try:
            return self._facts()
        except Unavailable as error:
            if not self._known:
                raise
            log.warning("the hub does not say which devices may take part, those of before do: %s", error)
            return self._known

    def _barred(self, node: int) -> str:
        facts = self._known.get(node)
        return self._strangers if facts is None else facts.barred

    def _named(self, node: int) -> str:
        return self._known[node].device_id if node in self._known else f"node {node}"

    def _why(self, present: Iterable[int]) -> str:
        reasons = [f"{self._named(node)}: {why}" for node in present if (why := self._barred(node))]
        return f" ({'; '.join(reasons[:_NAMED])}{'; ...' if len(reasons) > _NAMED else ''})" if reasons else ""
