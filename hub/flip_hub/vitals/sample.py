"""One health report as it is kept for charts: figures, and the codes of the conditions that held."""

import math
from datetime import datetime

from msgspec import Struct

from flip_wire.health import HealthReport
from flip_wire.telemetry import Seq

MOST_CODES = 32
"""Of one sample."""
_LARGEST = 1e15
"""What is beyond is a broken device's; averages of it shall still be numbers."""


class Sample(Struct, frozen=True, kw_only=True, array_like=True):
    at: datetime
    """By the hub's clock."""
    epoch: str
    seq: Seq
    """Of the event: by both a sample that was stored twice is told from two."""
    uptime: float
    rss: float
    load: float
    disk_free: float
    outbox_depth: float
    dropped: float
    clock_offset: float
    temperature: float | None
    memory_available: float | None
    conditions: list[str]
    """Codes."""


def sample_of(report: HealthReport, at: datetime, epoch: str, seq: Seq) -> Sample:
    return Sample(
        at=at,
        epoch=epoch,
        seq=seq,
        uptime=_bounded(report.uptime),
        rss=_bounded(report.rss),
        load=_bounded(report.load),
        disk_free=_bounded(report.disk_free),
        outbox_depth=_bounded(report.outbox_depth),
        dropped=_bounded(report.dropped),
        clock_offset=_bounded(report.clock_offset),
        temperature=None if report.temperature is None else _bounded(report.temperature),
        memory_available=None if report.memory_available is None else _bounded(report.memory_available),
        conditions=[condition.code[:64] for condition in report.conditions[:MOST_CODES]],
    )


def _bounded(value: float) -> float:
    if -_LARGEST <= value <= _LARGEST:
        return float(value)
    return math.copysign(_LARGEST, value)
