"""What a device reports of the two versions that a rollout is about, and what follows for rings and figures: pure."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct

from flip_hub.devices.reach import Located, Reach, ring_of
from flip_hub.rollouts.schemas import (
    DeviceCounts,
    Figures,
    RingDevice,
    RingProgress,
    RingState,
    Rollout,
    Standing,
    together,
)
from flip_wire.fleet import DeviceId, RolloutFailure, ServingModel
from flip_wire.inference import ModelTraffic

_NOTHING = Figures()


class Sighting(Struct, frozen=True, kw_only=True):
    """An enrolled device, as its record says; lists are of the rollout's model alone."""

    id: DeviceId
    name: str
    tags: list[str] = []
    site: str = ""
    last_seen: float | None = None
    generation: int = -1
    """Of what was wanted of it when it last told its state; -1 before that."""
    own_generation: int = 0
    serving: list[ServingModel] = []
    failures: list[RolloutFailure] = []
    traffic: list[ModelTraffic] = []

    @property
    def serves(self) -> int | None:
        return next((each.version for each in self.serving), None)

    def refuses(self, version: int, generation: int | None) -> bool:
        """Since that generation of the fleet."""
        heard = generation is not None and self.generation >= generation + self.own_generation
        return heard and any(each.version == version and not each.again for each in self.failures)

    def figures(self, version: int | None) -> Figures:
        """What it tells of the answers of that version."""
        told = [each for each in self.traffic if each.version == version]
        return together(
            [
                Figures(
                    answered=each.requests,
                    failed=each.failed,
                    median=each.p50,
                    judged=each.judged,
                    correct=each.correct,
                )
                for each in told
            ]
        )


class Fleet(Struct, frozen=True, kw_only=True):
    """The enrolled devices, at one look."""

    devices: Sequence[Sighting]
    went_back: AbstractSet[DeviceId]
    """Those that have told of a rollback from the version since the rollout began."""
    silent_before: float
    """A device that was not heard since then is silent."""
    earlier: Mapping[DeviceId, Figures] = {}
    """What devices had told of the version's answers before the rollout began."""


def reaches(rings: Sequence[RingProgress]) -> list[Reach]:
    return [
        Reach(below=each.below, tags=each.ring.tags, sites=each.ring.sites, since=each.opened_at or 0.0)
        for each in rings
    ]


class Seen(Struct, frozen=True, kw_only=True):
    """What one look shows of a rollout."""

    counts: list[DeviceCounts]
    """Of each open ring its devices."""
    now: Figures
    """Of the version's answers, on the devices of these rings."""
    before: Figures
    """Of those of the version before, on the same devices."""
    elsewhere: Figures
    """Of those of the version before, on all devices."""


def seen(rollout: Rollout, fleet: Fleet) -> Seen:
    standings: list[list[Standing]] = [[] for _ in range(rollout.opened)]
    reached = reaches(rollout.rings[: rollout.opened])
    now, before, elsewhere = list[Figures](), list[Figures](), list[Figures]()
    for device in fleet.devices:
        of_before = device.figures(rollout.before)
        elsewhere.append(of_before)
        if (number := ring_of(rollout.id, reached, device)) is not None:
            standings[number].append(standing(rollout, rollout.rings[number], device, fleet))
            now.append(device.figures(rollout.version).since(fleet.earlier.get(device.id, _NOTHING)))
            before.append(of_before)
    counts = [_counts(each) for each in standings]
    return Seen(counts=counts, now=together(now), before=together(before), elsewhere=together(elsewhere))


def standing(rollout: Rollout, ring: RingProgress, device: Sighting, fleet: Fleet) -> Standing:
    """Of a device of that ring, which is open."""
    if device.serves == rollout.version:
        return Standing.SERVING
    if device.id in fleet.went_back:
        return Standing.ROLLED_BACK
    if device.refuses(rollout.version, ring.generation):
        return Standing.REFUSED
    return Standing.SILENT if (device.last_seen or 0.0) < fleet.silent_before else Standing.BRINGING


def ring_name(rollout: Rollout, device: Located) -> str:
    """Of the ring that it is in, open or not."""
    number = ring_of(rollout.id, reaches(rollout.rings), device)
    return "" if number is None else rollout.rings[number].ring.name


def shown(rollout: Rollout, device: Sighting, fleet: Fleet) -> RingDevice:
    number = ring_of(rollout.id, reaches(rollout.rings), device)
    assert number is not None  # the last ring is everybody
    ring = rollout.rings[number]
    waits = ring.state is RingState.PENDING and device.serves != rollout.version
    return RingDevice(
        device_id=device.id,
        name=device.name,
        ring=ring.ring.name,
        standing=Standing.WAITING if waits else standing(rollout, ring, device, fleet),
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
