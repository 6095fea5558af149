"""What people ask of rollouts, over any hub. Here it is decided and kept; the holder of the lease carries it out."""

import time
from collections.abc import Callable

from msgspec.structs import replace

from flip_hub.api.pages import Page, Wanted, cut
from flip_hub.cluster.bus import Bus, Topic
from flip_hub.devices.service import DeviceService
from flip_hub.devices.status import SILENT_HEARTBEATS
from flip_hub.live import LiveHub, RolloutChanged
from flip_hub.models.service import ModelService
from flip_hub.problem import Conflict, NotFound
from flip_hub.rollouts.progress import halted, resumed, rolled_back
from flip_hub.rollouts.request import checked_rings, new_rollout, rings_of
from flip_hub.rollouts.schemas import RingDevice, Rollout, RolloutRequest, RolloutStatus
from flip_hub.rollouts.sightings import Fleet, shown
from flip_hub.rollouts.store import RolloutRecord, RolloutStore
from flip_hub.rollouts.terms import EVERYBODY
from flip_hub.settings import Settings
from flip_runtime.errors import Unavailable

Decide = Callable[[Rollout], Rollout]

_TRIES = 8


class RolloutService:
    def __init__(
        self,
        store: RolloutStore,
        devices: DeviceService,
        models: ModelService,
        live: LiveHub,
        bus: Bus,
        settings: Settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises `ConfigError` when the rings of the settings are none."""
        self._store = store
        self._devices = devices
        self._models = models
        self._live = live
        self._bus = bus
        self._heartbeat = settings.devices.heartbeat
        self._gates = settings.rollouts.gates
        self._rings = rings_of(settings.rollouts.rings)
        self._clock = clock

    async def page(self, wanted: Wanted, model: str | None, status: RolloutStatus | None) -> Page[Rollout]:
        """Newest first."""
        return await self._store.page(wanted, model, status)

    async def get(self, rollout_id: str) -> Rollout:
        """Raises `NotFound`."""
        return (await self._read(rollout_id)).rollout

    async def devices(self, rollout_id: str, wanted: Wanted, ring: str | None = None) -> Page[RingDevice]:
        """By name; with `ring` those of that one. Raises `NotFound`."""
        rollout = await self.get(rollout_id)
        names = [each.ring.name for each in rollout.rings]
        if ring is not None and ring not in names:
            raise NotFound(f"{rollout_id} has no ring {ring[:80]!r}", hint=f"it has {', '.join(names)}")
        fleet = await look(self._store, rollout, self._clock() - SILENT_HEARTBEATS * self._heartbeat)
        listed = [shown(rollout, device, fleet) for device in fleet.devices]
        return cut(
            [each for each in listed if ring in (None, each.ring)], wanted, lambda each: (each.name, each.device_id)
        )

    async def start(self, request: RolloutRequest, by: str = "", *, run_id: str = "") -> Rollout:
        """`by` a user, or of the run whose version it is. Raises `NotFound`, `Unprocessable`, or `Conflict` when the
        version cannot be served, everybody shall serve it already, or another rollout of its model is under way."""
        wanted = await self._models.assignment(request.model, request.version, again=request.again)
        fleet = await self._devices.fleet.look()
        before = next((each for each in fleet.models if each.model == wanted.model), None)
        if before is not None and before.version == wanted.version:
            reason = f"every device is meant to serve version {wanted.version} of {wanted.model} already"
            raise Conflict(reason, hint="flip-hub devices list shows which do not yet")
        rings = checked_rings(request.rings or self._rings or [EVERYBODY])
        devices = await self._store.sightings(wanted.model)
        gates = self._gates if request.gates is None else request.gates
        rollout = new_rollout(wanted, before, rings, gates, devices, by=by, run_id=run_id, at=self._clock())
        record = RolloutRecord(rollout=rollout, active=True, wanted=wanted, before=before, owed=rollout.steps)
        told = {each.id: each.figures(wanted.version) for each in devices}
        if not await self._store.add(record, {device: figures for device, figures in told.items() if figures.told}):
            raise await self._taken(wanted.model)
        if request.again:
            await self._models.reinstate(wanted.model, wanted.version)
        self._tell(rollout)
        return rollout

    async def bring(self, model: str, version: int, run_id: str) -> Rollout | None:
        """Of a run that has ended: ring by ring, where the hub's settings name rings; else to every device at once, and
        gives None, as it does when every device is meant to serve it already. Asked again while it is under way, it
        gives the same. Raises as `start`."""
        if not self._rings:
            await self._models.promote(model, version)
            return None
        if any((each.model, each.version) == (model, version) for each in (await self._devices.fleet.look()).models):
            return None
        under_way = await self._store.active_of(model)
        if under_way is not None and under_way.rollout.version == version:
            return under_way.rollout
        return await self.start(RolloutRequest(model=model, version=version), run_id=run_id)

    async def halt(self, rollout_id: str, reason: str, by: str) -> Rollout:
        """No further ring opens. Raises `NotFound`, `Conflict`."""
        return await self._decide(rollout_id, lambda rollout: halted(rollout, by, reason, self._clock()))

    async def resume(self, rollout_id: str, reason: str, by: str) -> Rollout:
        """Raises `NotFound`, `Conflict`."""
        return await self._decide(rollout_id, lambda rollout: resumed(rollout, by, reason, self._clock()))

    async def roll_back(self, rollout_id: str, reason: str, by: str) -> Rollout:
        """Every device shall serve the version before. Raises `NotFound`, or `Conflict` when it was rolled back
        already, or another version has taken its place since."""
        record = await self._read(rollout_id)
        if record.rollout.status is RolloutStatus.DONE:
            await self._check_in_place(record)
        return await self._decide(rollout_id, lambda rollout: rolled_back(rollout, by, reason, self._clock()))

    async def _check_in_place(self, record: RolloutRecord) -> None:
        model, state = record.rollout.model, await self._devices.fleet.look()
        if record.wanted not in state.models:
            raise Conflict(
                f"devices are not meant to serve version {record.rollout.version} of {model} any more",
                hint=f"flip-hub models promote {model} VERSION",
            )
        if await self._store.active_of(model) is not None:
            raise await self._taken(model)

    async def _decide(self, rollout_id: str, decide: Decide) -> Rollout:
        """From what it is now: two who decide at once decide one after the other."""
        for _ in range(_TRIES):
            record = await self._read(rollout_id)
            after = following(record, decide(record.rollout))
            if await self._store.replace(after, record.revision):
                self._tell(after.rollout)
                return after.rollout
        raise Unavailable(f"{rollout_id} is being changed by others", hint="try again in a moment")

    async def _read(self, rollout_id: str) -> RolloutRecord:
        record = await self._store.get(rollout_id)
        if record is None:
            raise NotFound(f"no rollout {rollout_id[:80]!r}", hint="GET /api/v1/rollouts lists them")
        return record

    async def _taken(self, model: str) -> Conflict:
        other = await self._store.active_of(model)
        which = "another rollout" if other is None else other.rollout.id
        version = "" if other is None else f" version {other.rollout.version} of"
        hint = f"wait for its end, or: flip-hub rollouts rollback {which}"
        return Conflict(f"{which} is bringing{version} {model} to the fleet", hint=hint)

    def _tell(self, rollout: Rollout) -> None:
        self._live.publish(RolloutChanged(data=rollout))
        self._bus.tell(Topic.ROLLOUT, rollout.id.encode())


def following(record: RolloutRecord, rollout: Rollout) -> RolloutRecord:
    """The record in which a rollout has become that; the steps that are new are owed."""
    new = rollout.steps[-_new_steps(record.rollout, rollout) :] if rollout.steps != record.rollout.steps else []
    return replace(
        record, rollout=rollout, active=rollout.active, owed=[*record.owed, *new], revision=record.revision + 1
    )


def _new_steps(before: Rollout, after: Rollout) -> int:
    """How many: the earliest may have been forgotten."""
    last = before.steps[-1]
    return next(count for count, step in enumerate(reversed(after.steps)) if step is last)


async def look(store: RolloutStore, rollout: Rollout, silent_before: float) -> Fleet:
    """What the enrolled devices have told that matters to it."""
    return Fleet(
        devices=await store.sightings(rollout.model),
        went_back=await store.went_back(rollout),
        earlier=await store.earlier(rollout.id),
        silent_before=silent_before,
    )
