"""Devices as the API shows them."""

from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from flip_hub.devices.lives import Clone
from flip_wire.fleet import DesiredState, DeviceId, ReportedState
from flip_wire.health import HealthReport

SUPERNODE = "flower-supernode"
"""The version of a device that is no agent of ours, but Flower's own: it speaks with the gateway alone."""


class DeviceStatus(StrEnum):
    OK = "ok"
    UNHEALTHY = "unhealthy"
    """It reports a condition that is at least a warning."""
    UNKNOWN = "unknown"
    """Silent for two heartbeats; `unknown_since` says when it was last heard of."""
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


class Difference(Struct, frozen=True, kw_only=True):
    """Something that is wanted of a device, and that it does not report."""

    what: str
    """`model`, `work` or `action`."""
    name: str
    """Of the model, or the action's id."""
    wanted: str
    """The version, the runs, or the kind of action."""
    reported: str
    """Empty when the device has said nothing of it."""
    since: float
    because: str = ""
    """Why, as far as the device says."""


class Device(Struct, frozen=True, kw_only=True):
    id: DeviceId
    name: str
    status: DeviceStatus
    enrolled_at: float
    enrolled_by: str
    """Id of the enrolment token that it used; empty where that is not known."""
    last_seen: float | None
    agent_version: str
    node_id: str | None
    """Flower's node id (a decimal number past 2^53, so a string), once the device has joined a run."""
    desired: DesiredState
    reported: ReportedState | None
    differences: list[Difference]
    """What is wanted and not so yet."""
    health: HealthReport | None
    events_accepted: int
    """Telemetry events inserted since enrolment."""
    events_dropped: int
    """Events the device declared dropped in gap records."""
    unknown_since: float | None
    """When it was last heard of, while its state is unknown."""
    wire_version: int
    """That its last call spoke; 0 before the first."""
    site: str
    tags: list[str]
    groups: list[str]
    note: str
    clone: Clone | None
    """Two agents that live at once have this device's key."""

    @property
    def revoked(self) -> bool:
        return self.status is DeviceStatus.REVOKED


class Sought(Struct, frozen=True, kw_only=True):
    """Devices of which all of these are true."""

    status: DeviceStatus | None = None
    name: str | None = None
    search: str | None = None
    """Words, each of which stands in its name, its id or a model that it serves (`MODEL@VERSION`)."""
    tag: str | None = None
    group: str | None = None
    site: str | None = None
    enrolled_by: str | None = None


Label = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[\w.:=/@+-]+$")]
Labels = Annotated[list[Label], Meta(max_length=32)]
Site = Annotated[str, Meta(max_length=64)]
Note = Annotated[str, Meta(max_length=4000)]


class DevicePatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    site: Site | UnsetType = UNSET
    tags: Labels | UnsetType = UNSET
    groups: Labels | UnsetType = UNSET
    note: Note | UnsetType = UNSET
