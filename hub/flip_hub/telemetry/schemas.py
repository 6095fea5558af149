"""Events and spans as the API shows them."""

from msgspec import Raw, Struct

from flip_wire.fleet import DeviceId
from flip_wire.spans import Span
from flip_wire.telemetry import Priority, Seq, Stamp


class StoredEvent(Struct, frozen=True, kw_only=True):
    epoch: str
    seq: Seq
    priority: Priority
    kind: str
    at: Stamp
    """By the device's clock."""
    happened_at: float
    """By the hub's clock."""
    received_at: float
    body: Raw


class DeclaredGap(Struct, frozen=True, kw_only=True):
    """Events that a device had to drop, as it declared them."""

    epoch: str
    seq: Seq
    """Of the declaration."""
    priority: Priority
    first: Seq
    last: Seq
    count: int
    """0 when the device cannot know."""
    reason: str
    declared_at: float
    """By the hub's clock, on the device: when it was next in touch with the hub."""


class StoredSpans(Struct, frozen=True, kw_only=True):
    """What one event told."""

    device_id: DeviceId
    message_id: str
    """Empty when they are of no message."""
    spans: list[Span]


class MessageSpans(Struct, frozen=True, kw_only=True):
    """Where the time of one message of a run went on one device."""

    device_id: DeviceId
    message_id: str
    round: int
    """0 where that is not known."""
    phase: str
    """`train`, `evaluate`, …; empty where that is not known."""
    spans: list[Span]
    """`message`, and under it its parts; each `start` by the hub's clock."""
