"""Events as the API shows them."""

from msgspec import Raw, Struct

from flip_wire.telemetry import Priority, Seq, Stamp


class StoredEvent(Struct, frozen=True, kw_only=True):
    epoch: str
    seq: Seq
    priority: Priority
    kind: str
    at: Stamp
    """By the device's clock."""
    received_at: float
    body: Raw
