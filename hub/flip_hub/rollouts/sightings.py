"""What a device reports of the two versions that a rollout is about, and what follows for rings and figures: pure."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct

from flip_hub.devices.reach import Reach, ring_of
from flip_hub.rollouts.schemas import DeviceCounts, Figures, RingDevice, RingProgress, RingState, Rollout, Standing
from flip_wire.fleet import DeviceId, RolloutFailure, ServingModel
from flip_wire.inference import ModelTraffic


class Sighting(Struct, frozen=True, kw_only=True):
    """An enrolled device, as its record says; lists are of the rollout's model alone."""

    id: DeviceId
    name: str
    tags: list[str] = []
    site: str = ""
    last_seen: float | None = None
    serving: list[ServingModel] = []
    failures: list[RolloutFailure] = []
    traffic: list[ModelTraffic] = []

    @property
    def serves(self) -> int | None:
        return next((each.version for each in self.serving), None)


class Fleet(Struct, frozen=True, kw_only=True):
    """The enrolled devices, at one look."""

    devices: Sequence[Sighting]
    went_back: AbstractSet[DeviceId]
    """Those that have told of a rollback from the version since the rollout began."""
    silent_before: float
    """A device that was not heard since then is silent."""


def reaches(rings: Sequence[RingProgress]) -> list[Reach]:
    return [
        Reach(below=each.below, tags=each.ring.tags, sites=each.ring.sites, since=each.opened_at or 0.0)
        for each in rings
    ]


def counted(rollout: Rollout, fleet: Fleet) -> tuple[list[DeviceCounts], Figures]:
    """Of each open ring its devices, and what all of them have told of the version's answers."""
    rings: list[list[Sighting]] = [[] for _ in range(rollout.opened)]
    reached = reaches(rollout.rings[: rollout.opened])
    for device in fleet.devices:
        if (number := ring_of(rollout.id, reached, device)) is not None:
            rings[number].append(device)
    counts = [_counts([standing(rollout, device, fleet) for device in ring]) for ring in rings]
    return counts, figures((device for ring in rings for device in ring), rollout.version)


def figures(devices: Iterable[Sighting], version: int | None) -> Figures:
    """What they have told of the answers of that version."""
    told = [each for device in devices for each in device.traffic if each.version == version]
    return Figures(
        answered=sum(each.requests for each in told),
        failed=sum(each.failed for each in told),
        seconds=sum(each.seconds for each in told),
        judged=sum(each.judged for each in told),
        correct=sum(each.correct for each in told),
    )


def standing(rollout: Rollout, device: Sighting, fleet: Fleet) -> Standing:
    """Of a device whose ring is open."""
    if device.serves == rollout.version:
        return Standing.SERVING
    if device.id in fleet.went_back:
        return Standing.ROLLED_BACK
    if any(each.version == rollout.version and not each.again for each in device.failures):
        return Standing.REFUSED
    return Standing.SILENT if (device.last_seen or 0.0) < fleet.silent_before else Standing.BRINGING


def shown(rollout: Rollout, device: Sighting, fleet: Fleet) -> RingDevice:
    number = ring_of(rollout.id, reaches(rollout.rings), device)
    assert number is not None  # the last ring is everybody
    ring = rollout.rings[number]
    waits = ring.state is RingState.PENDING and device.serves != rollout.version
    return RingDevice(
        device_id=device.id,
        name=device.name,
        ring=ring.ring.name,
        standing=Standing.WAITING if waits else standing(rollout, device, fleet),
        serves=device.serves,
        reason=next((each.reason for each in device.failures if each.version == rollout.version), ""),
        last_seen=device.last_seen,
    )


def _counts(standings: Sequence[Standing]) -> DeviceCounts:
    return DeviceCounts(
        devices=len(standings),
        serving=standings.count(Standing.SERVING),
        refused=standings.count(Standing.REFUSED),
        rolled_back=standings.count(Standing.ROLLED_BACK),
        silent=standings.count(Standing.SILENT),
    )
