"""What is known of a device: pure, of when it was last heard of and of what it then said."""

from collections.abc import Iterable

from flip_hub.devices.schemas import DeviceStatus
from flip_wire.health import Severity

SILENT_HEARTBEATS = 2
"""So many may be missed before nobody knows how the device is."""


def status_of(
    revoked: bool, last_seen: float | None, severities: Iterable[Severity], now: float, heartbeat: float
) -> DeviceStatus:
    """`severities`: of its conditions; `heartbeat` in seconds."""
    if revoked:
        return DeviceStatus.REVOKED
    if last_seen is None or now - last_seen > SILENT_HEARTBEATS * heartbeat:
        return DeviceStatus.UNKNOWN
    ill = any(severity is not Severity.INFO for severity in severities)
    return DeviceStatus.UNHEALTHY if ill else DeviceStatus.OK
