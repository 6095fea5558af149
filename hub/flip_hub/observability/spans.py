"""A finished step of a trace, wherever it was done: the hub's requests, its runs and rounds, the devices' work."""

import asyncio
from collections import deque
from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

Attribute = str | int | float | bool

LONGEST_QUEUE = 4096
"""Finished requests that wait to be exported: a minute of a busy hub at the usual share."""


class SpanKind(StrEnum):
    SERVER = "server"
    """Answers a call."""
    INTERNAL = "internal"


class SpanRecord(Struct, frozen=True, kw_only=True):
    trace_id: str
    span_id: str
    parent_id: str = ""
    name: str
    kind: SpanKind = SpanKind.INTERNAL
    start: float
    """Seconds since the epoch, by the hub's clock."""
    duration: float
    error: str = ""
    attributes: Mapping[str, Attribute] = {}
    device: str = ""
    """Which device did it; empty: the hub."""


class SpanQueue:
    """Finished spans of this process that are not exported yet. Whoever adds one never waits: a full queue drops it."""

    def __init__(self, most: int = LONGEST_QUEUE) -> None:
        self._spans: deque[SpanRecord] = deque()
        self._most = most
        self._there = asyncio.Event()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._spans)

    def add(self, span: SpanRecord) -> None:
        if len(self._spans) >= self._most:
            self.dropped += 1
            return
        self._spans.append(span)
        self._there.set()

    async def wait(self) -> None:
        """Until there is one."""
        while not self._spans:
            self._there.clear()
            await self._there.wait()

    def take(self, most: int) -> list[SpanRecord]:
        """The oldest ones, which are then no longer here."""
        return [self._spans.popleft() for _ in range(min(most, len(self._spans)))]
