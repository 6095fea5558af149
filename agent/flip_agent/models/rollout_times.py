"""Where the time went while a version was brought into service, as spans: each part from its first attempt to the end
of its last. Kept in memory alone: after a power cut the rollout starts from the top, and so do its times."""

import secrets

from msgspec import Struct
from msgspec.structs import replace

from flip_agent.device_clock import DeviceClock
from flip_wire.models import ModelAssignment, Sha256
from flip_wire.spans import MOST_TEXT, Span, Spans, trace_of_rollout
from flip_wire.telemetry import Stamp

_ROOT = "rollout"


class _Part(Struct, frozen=True, kw_only=True):
    began: float
    """By the machine's clock since its start, as `ended`."""
    ended: float
    attempts: int
    error: str
    """Of the last attempt."""


class RolloutTimes:
    def __init__(self) -> None:
        self._clock = DeviceClock()
        self._parts: dict[Sha256, dict[str, _Part]] = {}

    def now(self) -> float:
        return self._clock.stamp().monotonic

    def attempted(self, wanted: ModelAssignment, name: str, began: float, error: str) -> None:
        """An attempt of that part has ended; `error` is empty when it went well."""
        parts = self._parts.setdefault(wanted.manifest, {})
        part = parts.get(name) or _Part(began=began, ended=began, attempts=0, error="")
        parts[name] = replace(part, ended=self.now(), attempts=part.attempts + 1, error=error[:MOST_TEXT])

    def finished(self, wanted: ModelAssignment) -> Spans | None:
        """None when nothing had to be done."""
        parts = self._parts.pop(wanted.manifest, {})
        if not parts:
            return None
        now, trace = self._clock.stamp(), trace_of_rollout(wanted.manifest)
        whole = _Part(
            began=min(part.began for part in parts.values()),
            ended=max(part.ended for part in parts.values()),
            attempts=1,
            error=next((part.error for part in parts.values() if part.error), ""),
        )
        about = {"model": wanted.model[:MOST_TEXT], "version": str(wanted.version)}
        root = _span(trace, _ROOT, whole, now, about)
        children = [
            _span(trace, name, part, now, {"attempts": str(part.attempts)}, root.span_id)
            for name, part in parts.items()
        ]
        return Spans(spans=[root, *children])

    def forget(self) -> None:
        """What is begun begins anew."""
        self._parts.clear()


def _span(trace: str, name: str, part: _Part, now: Stamp, attributes: dict[str, str], parent: str = "") -> Span:
    """Its id is by chance: every device brings the version, some more than once."""
    return Span(
        trace_id=trace,
        span_id=secrets.token_hex(8),
        parent_id=parent,
        name=name,
        start=max(0.0, now.wall - (now.monotonic - part.began)),
        duration=part.ended - part.began,
        error=part.error,
        attributes=attributes,
    )
