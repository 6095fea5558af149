"""Traces and metrics on their way to a collector. One that is away costs a try now and then, and holds nothing up.

What this process did waits in a bounded queue; what does not fit is dropped and counted. What devices did, and the
runs and rounds, waits in the registry: it is noted as exported only once the collector has acknowledged it, so an
outage of either delays it and loses none. Only a crash between acknowledgement and note sends a span again, with the
same ids.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

from flip_hub.observability.metrics import Metrics, one
from flip_hub.observability.otlp import Collector
from flip_hub.observability.spans import SpanQueue, SpanRecord
from flip_hub.observability.stored_traces import StoredTraces
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Unavailable

log = logging.getLogger(__name__)

BATCH = 512
"""Spans of one call."""
_GATHER = 1.0
"""Seconds that finished requests wait for others to go with."""
_BACKOFF = Backoff(first=1.0, most=60.0)


class Export:
    def __init__(
        self,
        connect: Callable[[], Collector],
        queue: SpanQueue,
        stored: StoredTraces,
        metrics: Metrics,
        refresh: Callable[[], Awaitable[None]],
        *,
        interval: float,
    ) -> None:
        """`refresh`: called before metrics are read. Every `interval` seconds what has gathered is sent."""
        self._connect = connect
        self._queue = queue
        self._stored = stored
        self._metrics = metrics
        self._refresh = refresh
        self._interval = interval
        self._away = False
        self.sent = 0
        metrics.counter("flip.spans.exported", "Spans that the collector has acknowledged.", one(lambda: self.sent))
        metrics.counter("flip.spans.dropped", "Spans that did not fit the queue.", one(lambda: queue.dropped))
        metrics.gauge("flip.spans.waiting", "Spans of this process that wait.", one(lambda: len(queue)))

    async def run(self) -> None:
        """Sends what this process did and counts, until it is cancelled."""
        collector = self._connect()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send_queue(collector))
                group.create_task(self._send_metrics(collector))
        finally:
            collector.close()

    async def run_stored(self) -> None:
        """Sends what is in the registry; on one hub at a time, until it is cancelled. Raises `DatabaseDown`."""
        collector = self._connect()
        try:
            await self._send_stored(collector)
        finally:
            collector.close()

    async def _send_queue(self, collector: Collector) -> NoReturn:
        while True:
            await self._queue.wait()
            await asyncio.sleep(_GATHER)
            await self._deliver(collector, self._queue.take(BATCH))

    async def _send_stored(self, collector: Collector) -> NoReturn:
        async def deliver(spans: Sequence[SpanRecord]) -> None:
            await self._deliver(collector, spans)

        while True:
            if not await self._stored.export(deliver):
                await asyncio.sleep(self._interval)

    async def _send_metrics(self, collector: Collector) -> NoReturn:
        """One that could not be sent is left out: the next tells as much."""
        while True:
            await asyncio.sleep(self._interval)
            await self._refresh()
            await self._reached(collector, collector.take_metrics(self._metrics))

    async def _deliver(self, collector: Collector, spans: Sequence[SpanRecord]) -> None:
        """Tries until they are acknowledged."""
        failures = 0
        while spans and not await self._reached(collector, collector.take_spans(spans)):
            failures += 1
            await asyncio.sleep(_BACKOFF.delay(failures))
        self.sent += len(spans)

    async def _reached(self, collector: Collector, call: Awaitable[None]) -> bool:
        """Says once that the collector is away, and once that it is back."""
        try:
            await call
        except Unavailable as error:
            if not self._away:
                log.warning("the collector takes nothing", extra={"error": str(error)})
            self._away = True
            return False
        if self._away:
            log.info("the collector takes traces and metrics again", extra={"endpoint": collector.endpoint})
        self._away = False
        return True
