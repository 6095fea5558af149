"""Devices as the API shows them."""

from enum import StrEnum

from msgspec import Struct

from flip_wire.fleet import DesiredState, DeviceId, ReportedState
from flip_wire.health import HealthReport


class DeviceStatus(StrEnum):
    OK = "ok"
    UNHEALTHY = "unhealthy"
    """It reports a condition that is at least a warning."""
    UNKNOWN = "unknown"
    """Silent for two heartbeats; `last_seen` says since when."""
    REVOKED = "revoked"


class Absence(StrEnum):
    """Why a device would not begin to train if a run were announced to it now."""

    REVOKED = "revoked"
    UNKNOWN = "unknown"
    """Silent for two heartbeats, or never heard of."""
    SAFE_MODE = "safe mode"
    """Its agent has failed several times in a row and starts no training."""
    HELD = "held"
    """Its governor holds training: battery, heat, load, disk, a metered link, busy inference."""


class Device(Struct, frozen=True, kw_only=True):
    id: DeviceId
    name: str
    status: DeviceStatus
    enrolled_at: float
    last_seen: float | None
    agent_version: str
    node_id: str | None
    """Flower's node id (a decimal number past 2^53, so a string), once the device has joined a run."""
    desired: DesiredState
    reported: ReportedState | None
    health: HealthReport | None
    events_accepted: int
    """Telemetry events inserted since enrolment."""
    events_dropped: int
    """Events the device declared dropped in gap records."""


class EnrolmentTokenRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`lifetime` in seconds, at most 30 days."""

    lifetime: float = 3600.0


class EnrolmentToken(Struct, frozen=True, kw_only=True):
    """Shown once; only its hash is kept."""

    token: str
    expires_at: float
