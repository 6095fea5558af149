"""What the registry holds of traces and no collector has yet: devices' spans as they arrive, runs once they end."""

import time
from collections.abc import Awaitable, Callable, Sequence

from flip_hub.federation.schemas import Run
from flip_hub.federation.store import RunStore
from flip_hub.observability.requests import RequestAccount
from flip_hub.observability.run_traces import device_spans, run_spans, trace_of
from flip_hub.observability.spans import SpanRecord
from flip_hub.observability.store import TraceStore, WaitingSpans
from flip_runtime.trace import Trace

Deliver = Callable[[Sequence[SpanRecord]], Awaitable[None]]
"""Returns once they are acknowledged."""

_EVENTS = 128
"""Of devices, in one call; each has up to 16 spans, and a collector takes 4 MiB."""


class StoredTraces:
    def __init__(self, store: TraceStore, runs: RunStore, account: RequestAccount) -> None:
        self._store = store
        self._runs = runs
        self._account = account

    async def export(self, deliver: Deliver) -> bool:
        """One step of both kinds; whether more waits. Raises `DatabaseDown`."""
        for run in await self._store.ended_runs(time.time()):
            if self._sampled(trace_of(run)):
                await deliver(run_spans(run, await self._runs.rounds(run.id)))
            await self._store.run_exported(run.id)
        waiting = await self._store.waiting_spans(_EVENTS)
        await self._export_spans(waiting, deliver)
        return len(waiting) == _EVENTS

    async def _export_spans(self, waiting: Sequence[WaitingSpans], deliver: Deliver) -> None:
        if not waiting:
            return
        runs = await self._store.runs_of_flower(sorted({each.flower_run_id for each in waiting} - {""}))
        rounds = await self._store.rounds_of([each.message_id for each in waiting if each.message_id])
        spans: list[SpanRecord] = []
        for each in waiting:
            run = runs.get(each.flower_run_id)
            if self._sampled(_trace(run, each)):
                spans += device_spans(each.device_id, each.spans, run, rounds.get(each.message_id, 0))
        await deliver(spans)
        await self._store.spans_exported([each.key for each in waiting])

    def _sampled(self, trace: Trace | None) -> bool:
        return trace is not None and bool(self._account.decided(trace).sampled)


def _trace(run: Run | None, waiting: WaitingSpans) -> Trace | None:
    """Of a rollout, and of a message of a run that is not known, it is the device's own."""
    known = None if run is None else trace_of(run)
    return known or Trace(waiting.spans[0].trace_id, "")
