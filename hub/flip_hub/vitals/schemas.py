"""Health over time as the API shows it."""

from msgspec import Struct


class HealthPoint(Struct, frozen=True, kw_only=True):
    """What a device said of its health in one step of time. Means, where nothing else is said."""

    at: float
    """Seconds since the epoch by the hub's clock: when the step begins."""
    samples: int
    uptime: float
    """Seconds, the most: it falls when the agent is started."""
    rss: float
    """Bytes, the most."""
    load: float
    load_max: float
    disk_free: float
    """Bytes, the least."""
    outbox_depth: float
    """Events, the most."""
    dropped: float
    """Events since the outbox file was made, the most."""
    clock_offset: float
    """Seconds."""
    temperature: float | None
    temperature_max: float | None
    memory_available: float | None
    """Bytes, the least."""
    conditions: list[str]
    """Codes of those that held at any time of it."""
