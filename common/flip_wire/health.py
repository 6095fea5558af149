"""A device's own account of its health; travels as the telemetry event `health`."""

from enum import StrEnum

from msgspec import Struct

from flip_wire.inference import ModelTraffic


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Condition(Struct, frozen=True, kw_only=True):
    """An unhealthy condition that holds now."""

    code: str
    title: str
    severity: Severity
    text: str
    since: float


class NetworkUse(Struct, frozen=True, kw_only=True):
    """Of the bytes that a device may exchange with its hub on a day (UTC)."""

    limit: int
    left: int
    """With the reserve for alerts and rare heartbeats, a sixteenth of the limit."""
    passed: dict[str, int] = {}
    """By what for: `telemetry`, `models`, `federation`; what the latter has drawn and not used yet included."""
    pace: float = 0.0
    """Seconds between heartbeats: rare ones, once all but the reserve is used up."""
    until: float = 0.0
    """When all else goes on, by the hub's clock: only the reserve is left; 0: more than that."""


class HealthReport(Struct, frozen=True, kw_only=True):
    uptime: float
    """Seconds since the agent started."""
    rss: int
    """Bytes, of `flip-agent run` alone."""
    load: float
    """One-minute load average."""
    disk_free: int
    """Bytes on the file system of the state folder."""
    outbox_depth: int
    """Events that wait for the hub."""
    outbox_oldest: float | None
    """When the oldest of them happened."""
    dropped: int
    """Events dropped since the outbox file was made; each is declared in a gap record."""
    conditions: list[Condition] = []
    temperature: float | None = None
    """Of the hottest sensor, in degrees Celsius; None without one."""
    memory_available: int | None = None
    """Bytes that the machine can still give out."""
    clock_offset: float = 0.0
    """Seconds to add to the device's clock to get the hub's."""
    inference: list[ModelTraffic] = []
    """Of each version that answers on the device."""
    samples_lost: dict[str, int] = {}
    """What the device's sample stores could not keep or had to let go, by why: `samples_expired`, `samples_displaced`,
    `samples_damaged`, `predictions_...`."""
    network: NetworkUse | None = None
    """None without a budget."""


class Repair(Struct, frozen=True, kw_only=True):
    """The agent has mended something by itself; travels as the telemetry event `repair`."""

    code: str
    """Of the condition that it answers."""
    text: str
