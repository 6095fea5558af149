"""Events from a device's outbox to the hub: at least once on the wire, inserted once by (device, epoch, seq)."""

from enum import IntEnum
from typing import NewType

from msgspec import Raw, Struct

Seq = NewType("Seq", int)
"""Grows by one per event of an outbox file, over all priorities."""


class Priority(IntEnum):
    """Lower is more urgent; a batch holds one priority, first in first out."""

    ALERT = 0
    FEDERATION = 1
    HEALTH = 2
    LOG = 3


class Stamp(Struct, frozen=True, kw_only=True):
    """When something happened, in a way that survives a wrong clock."""

    wall: float
    monotonic: float
    boot_id: str


class Event(Struct, frozen=True, kw_only=True):
    seq: Seq
    kind: str
    """Names the Struct of the body: `health` HealthReport, `state` ReportedState, `session` SessionEvent,
    `gap` Gap, `repair` Repair, `rollback` RolledBack, `spans` Spans, `action` ActionResult, `log` LogLines."""
    at: Stamp
    body: Raw


class Batch(Struct, frozen=True, kw_only=True):
    """`POST /api/v1/device/telemetry` (`Content-Encoding: zstd` allowed)."""

    epoch: str
    """A UUID made with the outbox file."""
    priority: Priority
    events: list[Event]
    sent: Stamp | None = None
    """When it left, by the device's clocks: against its own, the hub finds out when the events happened."""


class BatchAccepted(Struct, frozen=True, kw_only=True):
    """Everything of that epoch and priority up to this sequence number is durable at the hub."""

    priority: Priority
    up_to: Seq


class Gap(Struct, frozen=True, kw_only=True):
    """Events that had to be dropped, declared; itself an event."""

    priority: Priority
    first: Seq
    last: Seq
    count: int
    reason: str


class SessionEvent(Struct, frozen=True, kw_only=True):
    """One step of a training session on the device."""

    run_id: str
    message_id: str
    step: str
    """`pulled`, `training`, `trained`, `delivered` (counted in its round), `late` (kept by the hub), `refused`,
    `failed`."""
    detail: str = ""
    seconds: float = 0.0


class LogLines(Struct, frozen=True, kw_only=True):
    """New lines of one of a device's logs, while somebody follows them (`ActionKind.FOLLOW_LOGS`)."""

    source: str
    """Name of the file, or `journal`."""
    lines: list[str]
    left_out: int = 0
    """Lines that were too many to be sent."""
