"""A device as the registry keeps it, and how the API's `Device` follows from it."""

import re
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from flip_hub.devices.differences import differences
from flip_hub.devices.fleet_state import FleetState
from flip_hub.devices.lives import Clone, Life
from flip_hub.devices.schemas import Absence, Device, DeviceStatus, Sought
from flip_hub.devices.status import SILENT_HEARTBEATS, status_of
from flip_wire.actions import Action
from flip_wire.fleet import DesiredState, DeviceId, ReportedState, ServingModel
from flip_wire.health import HealthReport, Severity
from flip_wire.telemetry import Priority, Seq

_NONE = Seq(-1)
_NORMAL = "normal"
_EARLIER = 4
"""Epochs whose late batches are still told from new ones."""


class Intake(Struct, frozen=True, kw_only=True):
    """How far a device's telemetry has been counted, so that a batch that comes twice counts once."""

    epoch: str = ""
    marks: dict[str, Seq] = {}
    """For each priority the highest sequence number counted, in this epoch."""
    health: Seq = _NONE
    state: Seq = _NONE
    """Where the latest health and state came from."""
    earlier: dict[str, dict[str, Seq]] = {}
    """Marks of the epochs before this one: a request may be on its way for long."""
    accepted: int = 0
    dropped: int = 0
    unsaved: int = 0
    """Health samples that are kept with the record (`flip_hub.vitals`)."""
    revision: int = 0
    """Grows with each change: two batches at once cannot overwrite each other."""

    def in_epoch(self, epoch: str) -> "Intake":
        """A new outbox file counts from its own beginning."""
        if epoch == self.epoch or epoch in self.earlier:
            return self
        known = [*self.earlier.items(), *([(self.epoch, self.marks)] if self.epoch else [])]
        return replace(self, epoch=epoch, marks={}, earlier=dict(known[-_EARLIER:]), health=_NONE, state=_NONE)

    def marks_of(self, epoch: str) -> dict[str, Seq]:
        return self.marks if epoch == self.epoch else self.earlier.get(epoch, {})

    def mark(self, epoch: str, priority: Priority) -> Seq:
        return self.marks_of(epoch).get(priority.name, _NONE)

    def marked(self, epoch: str, priority: Priority, seq: Seq) -> "Intake":
        marks = {**self.marks_of(epoch), priority.name: seq}
        if epoch == self.epoch:
            return replace(self, marks=marks)
        return replace(self, earlier={**self.earlier, epoch: marks})


class OpenAction(Struct, frozen=True, kw_only=True):
    """Asked of the device, and not known to be over."""

    action: Action
    since: float


class DeviceRecord(Struct, frozen=True, kw_only=True):
    id: DeviceId
    name: str
    public_key: str
    """PEM."""
    fingerprint: str
    enrolled_at: float
    agent_version: str
    revoked_at: float | None = None
    last_seen: float | None = None
    node_id: str | None = None
    reported: ReportedState | None = None
    health: HealthReport | None = None
    intake: Intake = Intake()
    wire_version: int = 0
    """That its last call spoke; 0 when none has told."""
    site: str = ""
    tags: list[str] = []
    groups: list[str] = []
    note: str = ""
    enrolled_by: str = ""
    """Id of the enrolment token."""
    lives: list[Life] = []
    clone: Clone | None = None
    actions: list[OpenAction] = []
    own_generation: int = 0
    """Grows with each change of its `actions`, and of the tags and the site that rollouts go by."""

    @property
    def serving(self) -> list[ServingModel]:
        return [] if self.reported is None else self.reported.serving

    @property
    def revoked(self) -> bool:
        return self.revoked_at is not None

    def overtakes(self, other: "DeviceRecord") -> bool:
        """Whether people have changed it since the `other` was read."""
        return self.own_generation > other.own_generation or (self.revoked and not other.revoked)

    def merged(self, known: "DeviceRecord") -> "DeviceRecord":
        """Of two readings of one record, whichever came later: what people have made of it, and what it has told."""
        people = known if known.overtakes(self) else self
        heard = known if known.intake.revision > self.intake.revision else self
        if people is heard:
            return people
        told = {"health": heard.health, "reported": heard.reported, "last_seen": heard.last_seen}
        return replace(people, intake=heard.intake, **told)

    def status(self, now: float, heartbeat: float) -> DeviceStatus:
        """`heartbeat` in seconds."""
        conditions = [] if self.health is None else self.health.conditions
        return status_of(self.revoked, self.last_seen, (each.severity for each in conditions), now, heartbeat)

    def absence(self, now: float, heartbeat: float) -> Absence | None:
        """None: it can be woken, and would begin to train."""
        status, reported = self.status(now, heartbeat), self.reported
        if status is DeviceStatus.REVOKED:
            return Absence.REVOKED
        if status is DeviceStatus.UNKNOWN:
            return Absence.UNKNOWN
        if reported is not None and reported.mode != _NORMAL:
            return Absence.SAFE_MODE
        return Absence.HELD if reported is not None and reported.held_because else None

    def desired(self, fleet: FleetState) -> DesiredState:
        """Both counts only grow, so their sum does: what is newer has a higher generation."""
        return DesiredState(
            generation=fleet.generation + self.own_generation,
            models=fleet.models_of(self),
            work=fleet.work,
            actions=[each.action for each in self.actions],
        )

    def unknown_since(self, status: DeviceStatus) -> float | None:
        if status is not DeviceStatus.UNKNOWN:
            return None
        return self.enrolled_at if self.last_seen is None else self.last_seen

    def shown(self, status: DeviceStatus, fleet: FleetState) -> Device:
        return Device(
            id=self.id,
            name=self.name,
            status=status,
            enrolled_at=self.enrolled_at,
            enrolled_by=self.enrolled_by,
            last_seen=self.last_seen,
            agent_version=self.agent_version if self.reported is None else self.reported.agent_version,
            node_id=self.node_id,
            desired=self.desired(fleet),
            reported=self.reported,
            differences=differences(self, fleet),
            health=self.health,
            events_accepted=self.intake.accepted,
            events_dropped=self.intake.dropped,
            unknown_since=self.unknown_since(status),
            wire_version=self.wire_version,
            site=self.site,
            tags=self.tags,
            groups=self.groups,
            note=self.note,
            clone=self.clone,
        )


def matching(sought: Sought, now: float, heartbeat: float) -> dict[str, Any]:
    """As a filter of the registry."""
    fields = {
        "name": sought.name,
        "tags": sought.tag,
        "groups": sought.group,
        "site": sought.site,
        "enrolled_by": sought.enrolled_by,
    }
    status = {} if sought.status is None else having(sought.status, now, heartbeat)
    searched = {} if sought.search is None else holding(sought.search)
    given = {field: value for field, value in fields.items() if value is not None}
    return {"$and": [status, searched, given]}


def holding(words: str) -> dict[str, Any]:
    """The documents of the devices whose name, id or served model holds each of these words, in any case."""
    return {"$and": [_holding(word) for word in words.split()]} if words.split() else {}


def _holding(word: str) -> dict[str, Any]:
    model, _, version = word.partition("@")
    served: dict[str, Any] = {"model": _anywhere(model)}
    if version.isdecimal():
        served["version"] = int(version[:18])
    return {
        "$or": [
            {"name": _anywhere(word)},
            {"_id": _anywhere(word)},
            {"reported.serving": {"$elemMatch": served}},
        ]
    }


def _anywhere(text: str) -> dict[str, str]:
    return {"$regex": re.escape(text), "$options": "i"}


def having(status: DeviceStatus, now: float, heartbeat: float) -> dict[str, Any]:
    """The documents of the devices that `DeviceRecord.status` says this of, as a filter of the registry."""
    since = now - SILENT_HEARTBEATS * heartbeat
    enrolled: dict[str, Any] = {"revoked_at": {"$exists": False}}
    ill = {"health.conditions": {"$elemMatch": {"severity": {"$ne": Severity.INFO}}}}
    match status:
        case DeviceStatus.REVOKED:
            return {"revoked_at": {"$exists": True}}
        case DeviceStatus.UNKNOWN:
            return {**enrolled, "$or": [{"last_seen": None}, {"last_seen": {"$lt": since}}]}
        case DeviceStatus.UNHEALTHY:
            return {**enrolled, "last_seen": {"$gte": since}, **ill}
        case DeviceStatus.OK:
            return {**enrolled, "last_seen": {"$gte": since}, "$nor": [ill]}
