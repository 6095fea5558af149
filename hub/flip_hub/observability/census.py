"""How many devices, runs and alerts there are, counted in the registry when somebody asks, and at most so often."""

import asyncio
import time

from msgspec import Struct

from flip_hub.mongo import DatabaseDown
from flip_hub.observability.metrics import Metrics, one
from flip_hub.observability.store import CensusStore, Counts

FRESH = 10.0
"""Seconds: counting 10,000 devices costs MongoDB some 30 ms."""


class _Counted(Struct, frozen=True):
    counts: Counts
    at: float


class Census:
    def __init__(self, store: CensusStore, metrics: Metrics) -> None:
        self._store = store
        self._counted = _Counted(Counts(), float("-inf"))
        self._counting = asyncio.Lock()
        metrics.gauge("flip.devices", "By status.", lambda: self._now.devices, labels=("status",))
        metrics.gauge(
            "flip.devices.backlog", "Events that wait in the outboxes of devices, as they last said.",
            one(lambda: self._now.backlog),
        )  # fmt: skip
        metrics.gauge(
            "flip.devices.dropped", "Events that devices had to drop, as they declared.", one(lambda: self._now.dropped)
        )
        metrics.gauge("flip.runs", "By status.", lambda: self._now.runs, labels=("status",))
        metrics.gauge("flip.rounds", "Of all runs.", one(lambda: self._now.rounds))
        metrics.gauge("flip.alerts", "That are open, by severity.", lambda: self._now.alerts, labels=("severity",))

    @property
    def _now(self) -> Counts:
        return self._counted.counts

    async def refresh(self) -> None:
        """Counts again unless that was done a moment ago; while the registry is away the last counts stand."""
        async with self._counting:
            if time.monotonic() - self._counted.at < FRESH:
                return
            try:
                self._counted = _Counted(await self._store.count(time.time()), time.monotonic())
            except DatabaseDown:
                return
