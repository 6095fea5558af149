"""What the ailing device of the fleet has told the hub: its events, and those that it had to drop."""

from typing import Final

import msgspec
from fleet import HOUR, MINUTE, MODEL, NOW, RUNNING, ailing
from msgspec import Raw, Struct

from flip_hub.telemetry.schemas import DeclaredGap, StoredEvent
from flip_wire.health import Repair
from flip_wire.spans import Span, Spans, trace_of_rollout
from flip_wire.telemetry import Gap, Priority, Seq, SessionEvent, Stamp

EPOCH: Final = "4d3c6f1e-2b58-4f0a-9c77-5a8e0b1d2f34"


def events() -> list[StoredEvent]:
    """Newest first."""
    gap = Gap(priority=Priority.LOG, first=Seq(40_112), last=Seq(41_903), count=1_792, reason="outbox full")
    trained = SessionEvent(run_id=RUNNING, message_id="m", step="trained", detail="round 2", seconds=18.4)
    repair = Repair(code="disk-low", text="models removed (212.4 MiB), logs removed (8.0 MiB)")
    return [
        event(4, "health", ailing(), NOW - 8),
        event(5, "spans", rollout(), NOW - 20 * MINUTE),
        event(3, "repair", repair, NOW - 39 * MINUTE),
        event(2, "gap", gap, NOW - 41 * MINUTE),
        event(1, "session", trained, NOW - 50 * MINUTE),
    ]


def rollout() -> Spans:
    """The probe of version 5 failed."""
    trace, refused = trace_of_rollout("m5"), "probe differs by 0.013"
    root = Span(
        trace_id=trace,
        span_id="0" * 16,
        name="rollout",
        start=NOW,
        duration=7.4,
        error=refused,
        attributes={"model": MODEL, "version": "5"},
    )
    fetch, prepare = (
        Span(trace_id=trace, span_id=own, parent_id=root.span_id, name=name, start=NOW, duration=seconds)
        for own, name, seconds in (("1" * 16, "fetch", 6.1), ("2" * 16, "prepare", 1.3))
    )
    return Spans(spans=[root, fetch, prepare])


def event(seq: int, kind: str, body: Struct, at: float) -> StoredEvent:
    return StoredEvent(
        epoch=EPOCH,
        seq=Seq(seq),
        priority=Priority.HEALTH,
        kind=kind,
        at=Stamp(wall=at, monotonic=at, boot_id="boot"),
        happened_at=at,
        received_at=at,
        body=Raw(msgspec.json.encode(body)),
    )


def gaps() -> list[DeclaredGap]:
    """Newest first."""
    unreadable = "number unknown; outbox file unreadable, kept as outbox.db.damaged-1: file is not a database"
    return [
        gap(43_021, Priority.LOG, 40_112, 41_903, 1_792, "outbox full", NOW - 41 * MINUTE),
        gap(43_020, Priority.FEDERATION, 0, 0, 82, "train had no connection to flip-agent run", NOW - 3 * HOUR),
        gap(12, Priority.ALERT, 0, 0, 0, unreadable, NOW - 26 * HOUR),
    ]


def gap(seq: int, priority: Priority, first: int, last: int, count: int, reason: str, at: float) -> DeclaredGap:
    return DeclaredGap(
        epoch=EPOCH,
        seq=Seq(seq),
        priority=priority,
        first=Seq(first),
        last=Seq(last),
        count=count,
        reason=reason,
        declared_at=at,
    )
