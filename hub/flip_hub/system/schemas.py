"""The hub's parts and settings as the API shows them."""

from msgspec import Struct


class Part(Struct, frozen=True, kw_only=True):
    """What the hub cannot do its work without."""

    name: str
    missing: str
    """What is wrong with it, in words for people; empty when nothing is."""
    version: str = ""
    """Empty where it has none, or does not answer."""


class Ingest(Struct, frozen=True, kw_only=True):
    """Telemetry on its way into the registry."""

    waiting: int
    """Batches."""
    waiting_bytes: int
    oldest: float
    """Seconds that the oldest of them has waited."""
    took: float
    """Seconds that the last write took, of many batches at once."""
    events: int
    """Written since the hub was started."""


class Room(Struct, frozen=True, kw_only=True):
    """Of the disk under `hub.state`, in bytes."""

    folder: str
    free: int
    total: int
    database: int
    """That the registry takes on its own disk; 0 where it does not say."""


class SystemState(Struct, frozen=True, kw_only=True):
    name: str
    """Of this hub among several; empty for the only one."""
    leading: bool
    """Whether this hub runs the federation."""
    version: str
    wire_version: int
    started_at: float
    memory: int
    """Bytes, of the hub's process."""
    cpu: float
    """Seconds of processor time since its start."""
    load: float
    """Of the machine, over a minute."""
    readers: int
    """Consoles that follow live."""
    parts: list[Part]
    ingest: Ingest
    room: Room
    packages: dict[str, str]
    """Version by name."""


class Setting(Struct, frozen=True, kw_only=True):
    section: str
    key: str
    value: str
    """As JSON; passwords in addresses are left out."""
    default: bool
    """Whether nobody has set it."""
    source: str
    """The file or the environment variable that sets it; empty for a default."""
