"""A device in a few words: what a map of the whole fleet, its counts and the names on other pages are made of.

Ten thousand of them are read at once, so the registry gives only the fields that they are made of.
"""

from msgspec import Struct

from flip_hub.devices.schemas import DeviceStatus
from flip_hub.devices.status import status_of
from flip_wire.fleet import DeviceId
from flip_wire.health import Severity


class DeviceBrief(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is as its default says is left out."""

    id: DeviceId
    name: str
    status: DeviceStatus
    enrolled_at: float
    severity: Severity | None = None
    """Of the worst of its conditions."""
    unknown_since: float | None = None
    site: str = ""
    tags: list[str] = []
    groups: list[str] = []
    serving: list[str] = []
    """`MODEL@VERSION`, by its last report."""
    training: str = ""
    """By its last report."""
    backlog: int = 0
    """Events that waited for the hub when it was last heard of."""
    oldest: float | None = None
    """When the oldest of them happened."""
    dropped: int = 0


class _Served(Struct, frozen=True):
    model: str
    version: int


class _Reported(Struct, frozen=True):
    serving: list[_Served] = []
    training: str = ""


class _Condition(Struct, frozen=True):
    severity: Severity


class _Health(Struct, frozen=True):
    conditions: list[_Condition] = []
    outbox_depth: int = 0
    outbox_oldest: float | None = None


class _Intake(Struct, frozen=True):
    dropped: int = 0


class Sketch(Struct, frozen=True, kw_only=True):
    """The part of a device's record that a brief is made of."""

    id: DeviceId
    name: str
    enrolled_at: float
    revoked_at: float | None = None
    last_seen: float | None = None
    site: str = ""
    tags: list[str] = []
    groups: list[str] = []
    reported: _Reported | None = None
    health: _Health | None = None
    intake: _Intake = _Intake()

    def brief(self, now: float, heartbeat: float) -> DeviceBrief:
        """`heartbeat` in seconds."""
        reported, health = self.reported or _Reported(), self.health or _Health()
        severities = [condition.severity for condition in health.conditions]
        status = status_of(self.revoked_at is not None, self.last_seen, severities, now, heartbeat)
        unknown = status is DeviceStatus.UNKNOWN
        return DeviceBrief(
            id=self.id,
            name=self.name,
            status=status,
            enrolled_at=self.enrolled_at,
            severity=max(severities, key=_ORDER.index, default=None),
            unknown_since=(self.last_seen or self.enrolled_at) if unknown else None,
            site=self.site,
            tags=self.tags,
            groups=self.groups,
            serving=[f"{each.model}@{each.version}" for each in reported.serving],
            training=reported.training,
            backlog=health.outbox_depth,
            oldest=health.outbox_oldest,
            dropped=self.intake.dropped,
        )


_ORDER = list(Severity)

SKETCHED = {
    "name": 1,
    "enrolled_at": 1,
    "revoked_at": 1,
    "last_seen": 1,
    "site": 1,
    "tags": 1,
    "groups": 1,
    "reported.serving.model": 1,
    "reported.serving.version": 1,
    "reported.training": 1,
    "health.conditions.severity": 1,
    "health.outbox_depth": 1,
    "health.outbox_oldest": 1,
    "intake.dropped": 1,
}
"""The projection that gives a `Sketch`."""
