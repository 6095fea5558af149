"""When an event happened by the hub's clock, whatever the device's clock says."""

import math

from msgspec.structs import replace

from flip_wire.spans import Span
from flip_wire.telemetry import Batch, Stamp


def happened_at(at: Stamp, batch: Batch, received: float) -> float:
    """Seconds since the epoch, never later than it was received.

    Within one boot the time that passed until the batch left is known exactly. An earlier boot's events are moved by
    as much as the device's wall clock is off now: the best guess. The way to the hub counts as no time.
    """
    if batch.sent is None:
        past = received - at.wall
    elif at.boot_id == batch.sent.boot_id:
        past = batch.sent.monotonic - at.monotonic
    else:
        past = batch.sent.wall - at.wall
    return received - max(0.0, past) if math.isfinite(past) else received


def moved(span: Span, at: Stamp, happened: float) -> Span:
    """With its start by the hub's clock: it is as long before its event, which `happened`, as on the device's clock."""
    return replace(span, start=max(0.0, happened - (at.wall - span.start)))
