"""Carries rollouts out, on the hub that holds the lease: looks at the devices of the open rings, and has the fleet do
what was decided.

What is decided is in the registry before anything follows from it, and what follows is told from the record alone: a
hub that takes over in the middle does the rest, and what was done already changes nothing when it is done again.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NoReturn

from msgspec.structs import replace

from flip_hub.audit.service import Audit
from flip_hub.cluster.bus import Bus, Topic
from flip_hub.devices.fleet_state import Staged
from flip_hub.devices.service import DeviceService
from flip_hub.devices.status import SILENT_HEARTBEATS
from flip_hub.live import LiveHub, RolloutChanged
from flip_hub.models.service import ModelService
from flip_hub.problem import Conflict
from flip_hub.rollouts.progress import looked, told_in
from flip_hub.rollouts.schemas import Rollout, RolloutStatus, Step, StepKind
from flip_hub.rollouts.service import following, look
from flip_hub.rollouts.sightings import reaches, seen
from flip_hub.rollouts.store import RolloutRecord, RolloutStore
from flip_hub.settings import Settings

log = logging.getLogger(__name__)

_ACTION = "rollout {kind}"


class RolloutWatch:
    def __init__(
        self,
        store: RolloutStore,
        devices: DeviceService,
        models: ModelService,
        audit: Audit,
        live: LiveHub,
        bus: Bus,
        settings: Settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._devices = devices
        self._models = models
        self._audit = audit
        self._live = live
        self._interval = settings.rollouts.interval
        self._heartbeat = settings.devices.heartbeat
        self._clock = clock
        self._hint = asyncio.Event()
        bus.on(Topic.ROLLOUT, lambda _: self._hint.set())

    async def run(self) -> NoReturn:
        """Only on the hub that holds the lease; until it is cancelled. Raises `DatabaseDown`."""
        while True:
            self._hint.clear()
            await self.look()
            try:
                async with asyncio.timeout(self._interval):
                    await self._hint.wait()
            except TimeoutError:
                pass

    async def look(self) -> None:
        """Once, at everything that is under way."""
        under_way = await self._store.under_way()
        await self._clear({record.rollout.id for record in under_way})
        for record in under_way:
            after = await self._judged(record) if record.active else record
            if after is None:
                continue
            try:
                await self._carry_out(after)
            except Conflict as error:  # both were allowed in one moment: this one waits until the other has ended
                log.info("a rollout waits", extra={"rollout": after.rollout.id, "because": error.args[0]})

    async def _judged(self, record: RolloutRecord) -> RolloutRecord | None:
        """As it is after a look at its devices; None when somebody else has just decided on it."""
        rollout, now = record.rollout, self._clock()
        fleet = await look(self._store, rollout, now - SILENT_HEARTBEATS * self._heartbeat)
        after = looked(rollout, seen(rollout, fleet), now)
        if after == rollout:
            return record
        changed = following(record, after)
        if not await self._store.replace(changed, record.revision):
            return None
        self._live.publish(RolloutChanged(data=after))
        return changed

    async def _carry_out(self, record: RolloutRecord) -> None:
        rollout, rings = record.rollout, record.rollout.rings
        match rollout.status:
            case RolloutStatus.RUNNING | RolloutStatus.HALTED:
                opened = reaches(rings[: rollout.opened])
                staged = Staged(rollout=rollout.id, assignment=record.wanted, reaches=opened)
                rings = told_in(rings, await self._devices.fleet.stage(staged))
            case RolloutStatus.DONE:
                await self._models.settle(record.wanted, ends=rollout.id)
            case RolloutStatus.ROLLED_BACK:
                await self._take_back(record)
        for step in record.owed:
            await self._note(rollout, step)
        done = replace(record, rollout=replace(rollout, rings=rings), owed=[], revision=record.revision + 1)
        if record.owed or rings != rollout.rings:
            await self._store.replace(done, record.revision)

    async def _take_back(self, record: RolloutRecord) -> None:
        """First it is withdrawn: nobody shall bring it again in between."""
        rollout = record.rollout
        reason = rollout.reason or "a person has rolled it back"
        await self._models.withdraw(rollout.model, rollout.version, reason, rollout.ended_at or self._clock())
        await self._devices.fleet.unstage(rollout.id)
        if record.before is not None:
            await self._models.take_back(record.wanted, record.before)  # it may have been done

    async def _note(self, rollout: Rollout, step: Step) -> None:
        """What a person has decided is in the audit already, as the call that it was."""
        if step.by:
            return
        about = f"version {rollout.version} of {rollout.model}"
        said = ": ".join(filter(None, (f"ring {step.ring}" if step.ring else "", step.reason)))
        level = logging.WARNING if step.kind is StepKind.ROLLED_BACK else logging.INFO
        log.log(level, "rollout %s", step.kind, extra={"rollout": rollout.id, "of": about, "detail": said})
        detail = ": ".join(filter(None, (about, said)))
        await self._audit.note(_ACTION.format(kind=step.kind), actor="", subject=rollout.id, detail=detail)

    async def _clear(self, under_way: set[str]) -> None:
        """A hub that was the holder no more may have staged what was over."""
        for staged in (await self._devices.fleet.look()).staged:
            if staged.rollout not in under_way:
                await self._devices.fleet.unstage(staged.rollout)
