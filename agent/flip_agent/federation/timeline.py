"""Where the time of a message went, from the marks of its steps: pure.

Time that passed is told only where the machine's own clock has measured it: what a restart of the machine lies in is
left out. What only the process did not live through is told, marked `interrupted`.
"""

from collections.abc import Mapping
from itertools import pairwise

from msgspec import Struct

from flip_agent.federation.steps import Step
from flip_wire.spans import MOST_TEXT, Span, Spans, TraceId, span_id, trace_of_message
from flip_wire.telemetry import SessionEvent, Stamp

PARTS: Mapping[Step, str] = {
    Step.PULLED: "receive",
    Step.CONFIRMED: "wait",
    Step.TRAINING: "train",
    Step.READY: "deliver",
    Step.PUSHED: "settle",
}
"""The part that begins with each step, in order; it ends where the next one begins."""
_WAITED = 0.1
"""Seconds; below that nothing held the training."""
_ROOT = "message"
_FAILED = frozenset({"failed", "refused"})


class Mark(Struct, frozen=True, kw_only=True):
    """The moment at which a step began, and what is told of the part that ended with it."""

    at: Stamp
    life: str
    """Of the process that took the step."""
    error: str = ""
    held: float = 0.0
    """Seconds that the training was paused."""


def error_of(event: SessionEvent | None) -> str:
    """As a span carries it."""
    return event.detail[:MOST_TEXT] if event is not None and event.step in _FAILED else ""


def spans_of(marks: Mapping[Step, Mark], end: Mark, last: SessionEvent) -> Spans | None:
    """Of a message that is forgotten, at `end`, with that event; None when too little is known of it."""
    if Step.PULLED not in marks:
        return None
    trace = trace_of_message(last.run_id, last.message_id)
    begun = [(name, marks[step]) for step, name in PARTS.items() if step in marks]
    moments = [*begun, ("", end)]
    parts = [
        _span(trace, name, mark, following, end)
        for (name, mark), (_, following) in pairwise(moments)
        if _measured(mark, following) and (name != "wait" or _seconds(mark, following) >= _WAITED)
    ]
    spans = [*_root(trace, [mark for _, mark in moments], last.step), *parts]
    return Spans(run_id=last.run_id, message_id=last.message_id, spans=spans) if spans else None


def _root(trace: TraceId, marks: list[Mark], fate: str) -> list[Span]:
    """None when the machine was restarted meanwhile."""
    first, end = marks[0], marks[-1]
    if not all(_measured(mark, end) for mark in marks):
        return []
    interrupted = {"interrupted": "true"} if any(mark.life != end.life for mark in marks) else {}
    return [
        Span(
            trace_id=trace,
            span_id=span_id(trace, _ROOT),
            name=_ROOT,
            start=_start(first, end),
            duration=_seconds(first, end),
            error=next((mark.error for mark in marks if mark.error), ""),
            attributes={"fate": fate, **interrupted},
        )
    ]


def _span(trace: TraceId, name: str, mark: Mark, following: Mark, end: Mark) -> Span:
    attributes: dict[str, str] = {}
    if mark.life != following.life:
        attributes["interrupted"] = "true"
    if following.held:
        attributes["paused"] = f"{following.held:.3f}"
    return Span(
        trace_id=trace,
        span_id=span_id(trace, name),
        parent_id=span_id(trace, _ROOT),
        name=name,
        start=_start(mark, end),
        duration=_seconds(mark, following),
        error=following.error,
        attributes=attributes,
    )


def _start(mark: Mark, end: Mark) -> float:
    """By the wall clock as it stands now, where the time since then is known: it may have been set meanwhile."""
    return max(0.0, end.at.wall - _seconds(mark, end) if _measured(mark, end) else mark.at.wall)


def _measured(mark: Mark, following: Mark) -> bool:
    return mark.at.boot_id == following.at.boot_id


def _seconds(mark: Mark, following: Mark) -> float:
    return max(0.0, following.at.monotonic - mark.at.monotonic)
