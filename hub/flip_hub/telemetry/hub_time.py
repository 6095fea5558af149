"""When an event happened by the hub's clock, whatever the device's clock says."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec.structs import replace

from flip_wire.spans import Span
from flip_wire.telemetry import Batch, Stamp


class HubTime:
    """Of the events of one batch. The way to the hub counts as no time."""

    def __init__(self, batch: Batch, received: float, began: Mapping[str, float]) -> None:
        """`began`: when earlier boots of the device began, by the hub's clock; of those that it heard from."""
        self.received = received
        self._sent = batch.sent
        self._began = began

    def of(self, at: Stamp) -> float:
        """Seconds since the epoch, never later than it was received.

        Within a boot that the hub has heard from it is known exactly. The events of another, which came and went
        without the hub, are moved by as much as the device's wall clock is off now: the best guess. None of them
        happened after the boot in which the batch left began.
        """
        sent = self._sent
        if sent is None:
            happened = at.wall
        elif at.boot_id == sent.boot_id:
            happened = self.received - (sent.monotonic - at.monotonic)
        elif at.boot_id in self._began:
            happened = min(self._began[at.boot_id] + at.monotonic, self.received - sent.monotonic)
        else:
            happened = self.received - max(sent.wall - at.wall, sent.monotonic)
        return min(happened, self.received) if math.isfinite(happened) else self.received

    def began(self, at: Stamp) -> float | None:
        """The boot of that event, when it is the one in which the batch left."""
        if self._sent is None or at.boot_id != self._sent.boot_id:
            return None
        began = self.received - self._sent.monotonic
        return began if math.isfinite(began) else None


def earlier_boots(batch: Batch) -> set[str]:
    """Boots before the one in which the batch left."""
    if batch.sent is None:
        return set()
    return {event.at.boot_id for event in batch.events} - {batch.sent.boot_id}


def moved(span: Span, at: Stamp, happened: float) -> Span:
    """With its start by the hub's clock: it is as long before its event, which `happened`, as on the device's clock."""
    return replace(span, start=max(0.0, happened - (at.wall - span.start)))


def moment(seconds: float) -> datetime:
    """As the registry orders and expires it; nothing a device says happened before 1970."""
    return datetime.fromtimestamp(max(0.0, seconds), UTC)
