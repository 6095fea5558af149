"""What rules decide by: a look at the registry and at the hub itself."""

from msgspec import Struct


class DeviceFacts(Struct, frozen=True, kw_only=True):
    """Of a device for which at least one threshold is passed."""

    id: str
    name: str
    tags: list[str] = []
    last_seen: float | None = None
    backlog: int = 0
    """Events in its outbox."""
    disk_free: int | None = None
    """Bytes."""
    mode: str = ""
    clone: bool = False
    critical: list[str] = []
    """Titles of the critical conditions that it reports."""


class LossFacts(Struct, frozen=True, kw_only=True):
    """What a device has declared dropped lately."""

    device_id: str
    count: int
    reason: str


class RollbackFacts(Struct, frozen=True, kw_only=True):
    device_id: str
    model: str
    version: int
    to_version: int
    reason: str


class RolloutFacts(Struct, frozen=True, kw_only=True):
    """That the hub has rolled back by itself."""

    id: str
    model: str
    version: int
    reason: str


class RunFacts(Struct, frozen=True, kw_only=True):
    id: str
    app: str
    ended: bool
    failed: bool
    reason: str
    """Why it failed, or what it waits for."""
    moved_at: float
    """When it last made a step: began, or began or ended a round."""


class TokenFacts(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    username: str
    expires_at: float


class HubFacts(Struct, frozen=True, kw_only=True):
    disk_free: int
    """Bytes in `hub.state`."""
    certificates: dict[str, float] = {}
    """When each ends, by the section of the settings it belongs to."""
    superlink_ready: bool = True
    superlink_starts: int = 0
    """In the last quarter of an hour."""
    refused_logins: int = 0
    """In the last quarter of an hour."""
    audit_broken: str = ""
    """What is wrong with the audit's chain."""


class Facts(Struct, frozen=True, kw_only=True):
    now: float
    devices: list[DeviceFacts] = []
    names: dict[str, DeviceFacts] = {}
    """Of the devices that losses and rollbacks are about."""
    losses: list[LossFacts] = []
    rollbacks: list[RollbackFacts] = []
    rollouts: list[RolloutFacts] = []
    runs: list[RunFacts] = []
    tokens: list[TokenFacts] = []
    hub: HubFacts
