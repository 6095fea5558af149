"""What batches of telemetry change of a device's record: pure, and nothing for a batch that has been counted."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from flip_hub.devices.lives import Call
from flip_hub.devices.record import DeviceRecord, Intake
from flip_hub.telemetry.batch import CheckedBatch
from flip_hub.telemetry.hub_time import HubTime, moment
from flip_hub.vitals.sample import Sample, sample_of
from flip_hub.vitals.store import SAVED_AT_ONCE
from flip_wire.fleet import DeviceId, ReportedState
from flip_wire.health import HealthReport


class Delivery(Struct, frozen=True, kw_only=True):
    """A batch, whose it is, and when its events happened."""

    device_id: DeviceId
    checked: CheckedBatch
    times: HubTime
    call: Call | None
    """That brought it, unless it was looked at before."""

    def counted(self, intake: Intake) -> bool:
        return self.checked.fresh_since(intake).intake == intake


class Account(Struct, frozen=True, kw_only=True):
    """A change of one record, worked out from what it was `before`."""

    before: DeviceRecord
    intake: Intake
    now: float
    health: HealthReport | None
    """Where there is a newer one, as with the state."""
    reported: ReportedState | None
    samples: list[Sample]
    """To keep with the record; none when all go to the time series."""
    save: list[Sample] | None
    """To be added to the time series before, after those that the record holds, which then holds none."""

    @property
    def record(self) -> DeviceRecord:
        """As it is when the change has been made."""
        return replace(
            self.before,
            intake=self.intake,
            last_seen=max(self.now, self.before.last_seen or 0.0),
            health=self.health or self.before.health,
            reported=self.reported or self.before.reported,
        )


def account(before: DeviceRecord, deliveries: Sequence[Delivery], now: float) -> Account:
    """Of all batches of a device that are written together, in the order in which they came."""
    intake, health, reported = before.intake, None, None
    samples: list[Sample] = []
    for delivery in deliveries:
        fresh, times, epoch = delivery.checked.fresh_since(intake), delivery.times, delivery.checked.batch.epoch
        samples += [sample_of(body, moment(times.of(event.at)), epoch, event.seq) for event, body in fresh.reports]
        intake, health, reported = fresh.intake, fresh.health or health, fresh.reported or reported
    full = bool(samples) and intake.unsaved + len(samples) > SAVED_AT_ONCE
    return Account(
        before=before,
        intake=replace(intake, revision=intake.revision + 1, unsaved=0 if full else intake.unsaved + len(samples)),
        now=now,
        health=health,
        reported=reported,
        samples=[] if full else samples,
        save=samples if full else None,
    )
