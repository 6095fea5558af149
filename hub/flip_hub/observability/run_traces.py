"""A run as one trace: the call that started it, its rounds, and what each device did for each message. Pure.

Devices derive the ids of their spans from what both ends know (`flip_wire.spans`) and know no other trace; the hub
moves them below their round, in the run's trace. So no device can write into a trace that is not its own, and agents
of every version take part (`docs/decisions/39-traces.md`).
"""

from collections.abc import Sequence

from flip_hub.federation.schemas import Round, Run, RunStatus
from flip_hub.observability.spans import SpanRecord
from flip_runtime.trace import Trace, next_trace
from flip_wire.fleet import DeviceId
from flip_wire.spans import Span, span_id


def trace_of(run: Run) -> Trace | None:
    """In which the call that started it was a step (`parent_id`); None for a run of before traces were kept."""
    return next_trace(run.traceparent) if run.traceparent else None


def run_spans(run: Run, rounds: Sequence[Round]) -> list[SpanRecord]:
    """Of a run that has ended, and its rounds as far as they have."""
    trace = trace_of(run)
    if trace is None or run.finished_at is None:
        return []
    whole = SpanRecord(
        trace_id=trace.trace_id,
        span_id=_of_run(trace, run.id),
        parent_id=trace.parent_id,
        name="run",
        start=run.started_at,
        duration=run.finished_at - run.started_at,
        error=run.reason if run.status is RunStatus.FAILED else "",
        attributes={"flip.run": run.id, "flip.app": run.app, "flip.status": run.status, "flip.strategy": run.strategy},
    )
    return [whole, *(_round_span(trace, run, round) for round in rounds if round.finished_at is not None)]


def _round_span(trace: Trace, run: Run, round: Round) -> SpanRecord:
    return SpanRecord(
        trace_id=trace.trace_id,
        span_id=_of_round(trace, run.id, round.round),
        parent_id=_of_run(trace, run.id),
        name="round",
        start=round.started_at,
        duration=(round.finished_at or round.started_at) - round.started_at,
        attributes={
            "flip.run": run.id,
            "flip.round": round.round,
            "flip.sampled": len(round.sampled),
            "flip.answered": len(round.answered),
        },
    )


def device_spans(device_id: DeviceId, spans: Sequence[Span], run: Run | None, round: int) -> list[SpanRecord]:
    """What a device told of one message or rollout; `round` is 0 where it is not known."""
    trace = None if run is None else trace_of(run)
    if run is None or trace is None:
        return [_device_span(device_id, span, span.trace_id, span.parent_id, {}) for span in spans]
    above = _of_round(trace, run.id, round) if round else _of_run(trace, run.id)
    known = {"flip.run": run.id, "flip.round": str(round)}
    return [_device_span(device_id, span, trace.trace_id, span.parent_id or above, known) for span in spans]


def _device_span(
    device_id: DeviceId, span: Span, trace_id: str, parent_id: str, attributes: dict[str, str]
) -> SpanRecord:
    return SpanRecord(
        trace_id=trace_id,
        span_id=span.span_id,
        parent_id=parent_id,
        name=span.name,
        start=span.start,
        duration=span.duration,
        error=span.error,
        attributes={**span.attributes, **attributes, "flip.device": device_id},
        device=device_id,
    )


def _of_run(trace: Trace, run_id: str) -> str:
    return span_id(trace.trace_id, f"run {run_id}")


def _of_round(trace: Trace, run_id: str, round: int) -> str:
    return span_id(trace.trace_id, f"round {run_id} {round}")
