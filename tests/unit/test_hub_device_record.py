"""A device's status follows from what is known of it."""

import pytest
from msgspec.structs import replace

from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.remembered import Remembered
from flip_hub.devices.schemas import DeviceStatus
from flip_wire.fleet import DeviceId
from flip_wire.health import Condition, HealthReport, Severity

RECORD = DeviceRecord(
    id=DeviceId("dev-1"), name="north", public_key="", fingerprint="", enrolled_at=0.0, agent_version="0.1.0"
)


def _health(severity: Severity) -> HealthReport:
    condition = Condition(code="hot", title="Hot", severity=severity, text="80 C", since=0.0)
    return HealthReport(
        uptime=1.0,
        rss=1,
        load=0.0,
        disk_free=1,
        outbox_depth=0,
        outbox_oldest=None,
        dropped=0,
        conditions=[condition],
    )


@pytest.mark.parametrize(
    ("record", "status"),
    [
        (RECORD, DeviceStatus.UNKNOWN),
        (replace(RECORD, last_seen=100.0), DeviceStatus.OK),
        (replace(RECORD, last_seen=40.0), DeviceStatus.OK),
        (replace(RECORD, last_seen=39.0), DeviceStatus.UNKNOWN),
        (replace(RECORD, last_seen=100.0, health=_health(Severity.INFO)), DeviceStatus.OK),
        (replace(RECORD, last_seen=100.0, health=_health(Severity.WARNING)), DeviceStatus.UNHEALTHY),
        (replace(RECORD, last_seen=1.0, health=_health(Severity.CRITICAL)), DeviceStatus.UNKNOWN),
        (replace(RECORD, last_seen=100.0, revoked_at=50.0), DeviceStatus.REVOKED),
    ],
)
def test_status_at_100_s_with_a_heartbeat_of_30_s(record: DeviceRecord, status: DeviceStatus) -> None:
    assert record.status(100.0, 30.0) is status


def test_a_memory_is_bounded_in_age_and_number() -> None:
    now = 0.0
    memory: Remembered[str, int] = Remembered(2.0, most=2, clock=lambda: now)
    for value, key in enumerate("abc"):
        memory.put(key, value)
    assert (memory.get("a"), memory.get("b"), memory.get("c")) == (None, 1, 2)
    now = 2.0
    assert memory.get("c") is None
