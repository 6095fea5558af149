"""What is wanted of a device and not so yet: the difference between its desired and its reported state."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flip_hub.devices.fleet_state import WORK, FleetState
from flip_hub.devices.schemas import Difference
from flip_wire.fleet import ReportedState

if TYPE_CHECKING:
    from flip_hub.devices.record import DeviceRecord


def differences(record: "DeviceRecord", fleet: FleetState) -> list[Difference]:
    """None of a device that is revoked: nothing is wanted of it any more."""
    if record.revoked:
        return []
    return [*_models(record, fleet), *_work(record, fleet), *_actions(record)]


def _models(record: "DeviceRecord", fleet: FleetState) -> Iterator[Difference]:
    reported = record.reported
    serving = {} if reported is None else {each.model: each.version for each in reported.serving}
    failed = {} if reported is None else {(each.model, each.version): each.reason for each in reported.failures}
    for wanted in fleet.models_of(record):
        served = serving.get(wanted.model)
        if served != wanted.version:
            yield Difference(
                what="model",
                name=wanted.model,
                wanted=str(wanted.version),
                reported="" if served is None else str(served),
                since=max(fleet.wanted_since(wanted.model, record), record.enrolled_at),
                because=failed.get((wanted.model, wanted.version), ""),
            )


def _work(record: "DeviceRecord", fleet: FleetState) -> Iterator[Difference]:
    reported = record.reported
    if fleet.work and not _takes_part(reported):
        yield Difference(
            what="work",
            name="training",
            wanted=", ".join(notice.run_id for notice in fleet.work),
            reported="" if reported is None else reported.training,
            since=max(fleet.since.get(WORK, 0.0), record.enrolled_at),
            because="" if reported is None else reported.held_because,
        )


def _takes_part(reported: ReportedState | None) -> bool:
    return reported is not None and reported.training not in ("idle", "held")


def _actions(record: "DeviceRecord") -> Iterator[Difference]:
    for asked in record.actions:
        action = asked.action
        yield Difference(what="action", name=action.id, wanted=action.kind, reported="", since=asked.since)
