"""Runs: submits them to Flower, adds up what they report, follows them to their end.

The registry is the truth about a run; the SuperLink only about whether it still goes on. A run is kept before it is
submitted, and its versions and rounds as they are made, so that what a crash leaves behind can be told from what is
still under way.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from flip_hub.api.pages import Page, Wanted
from flip_hub.apps.service import AppService
from flip_hub.cluster.lease import ALONE, Leading
from flip_hub.contributions.receipts import Receipts
from flip_hub.devices.schemas import DeviceStatus
from flip_hub.devices.service import DeviceService
from flip_hub.federation.control import FlowerStatus
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.outcome import Outcome, lost, outcome_of, waiting_for
from flip_hub.federation.progress import PATIENCE, fold, pause, with_warning
from flip_hub.federation.run_request import NewRun, new_run, new_run_id
from flip_hub.federation.schemas import (
    MessagesPushed,
    ReplyReceived,
    Round,
    Run,
    RunDetail,
    RunReport,
    RunRequest,
    RunStatus,
    Value,
    VersionMade,
)
from flip_hub.federation.selection import best_version
from flip_hub.federation.standby import Standby
from flip_hub.federation.store import ACTIVE, RunStore
from flip_hub.live import LiveHub, RoundChanged, RunChanged
from flip_hub.models.service import ModelService
from flip_hub.problem import Conflict, NotFound
from flip_runtime.errors import Rejected, Unavailable
from flip_runtime.trace import current_traceparent
from flip_wire.fleet import DeviceId

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between looks at the runs under way; each costs the SuperLink a few milliseconds."""


class Control(Protocol):
    """Flower's side of a run (`RunControl`)."""

    async def reach(self) -> None: ...
    async def start(self, fab: bytes, config: Mapping[str, Value]) -> str: ...
    async def stop(self, flower_run_id: str) -> bool: ...
    async def status(self, flower_run_id: str) -> FlowerStatus | None: ...
    async def log(self, flower_run_id: str) -> str: ...


class RunService:
    def __init__(
        self,
        store: RunStore,
        control: Control,
        devices: DeviceService,
        models: ModelService,
        live: LiveHub,
        mailboxes: Mailboxes,
        apps: AppService,
        receipts: Receipts,
        standby: Standby,
        leading: Leading = ALONE,
    ) -> None:
        self._store = store
        self._control = control
        self._devices = devices
        self._models = models
        self._live = live
        self._mailboxes = mailboxes
        self._apps = apps
        self._receipts = receipts
        self._standby = standby
        self._leading = leading
        self._changing = asyncio.Lock()
        """Held from reading runs to acting on what was read: reports, people and the watch do so at once."""
        self._submitting: set[str] = set()
        self._started = asyncio.Event()
        self._told: dict[str, int] = {}
        """How many times people were told that a run stands still."""

    # ---- for people ---------------------------------------------------------------------------------------------

    async def runs(self, wanted: Wanted, status: RunStatus | None = None) -> Page[Run]:
        """Newest first."""
        return await self._store.runs(wanted, status)

    async def detail(self, run_id: str) -> RunDetail:
        """Raises `NotFound`."""
        run, rounds = await self._get(run_id), await self._store.rounds(run_id)
        turnout = await self._standby.turnout() if run.status in ACTIVE else None
        return RunDetail(run=run, rounds=rounds, turnout=turnout)

    async def start(self, request: RunRequest, by: str = "") -> Run:
        """Keeps the run, submits it, and announces it to the devices; `by` is the user who asks. Raises `Refused`, or
        `Unavailable`."""
        self._leading.check()
        app = await self._apps.get(request.fab_hash)
        new = new_run(new_run_id(), app, request, time.time(), by, current_traceparent())
        await self._need_devices()
        fab = await self._apps.file_to_run(app)
        await self._control.reach()  # a run is kept only when it can be submitted
        await self._standby.call(first=not await self._store.active())
        self._submitting.add(new.run.id)
        try:
            run = await self._submit(new, fab)
        finally:
            self._submitting.discard(new.run.id)
        await self._announce()
        self._started.set()
        log.info("run started", extra={"run": run.id, "flower_run": run.flower_run_id, "app": run.app})
        return run

    async def stop(self, run_id: str) -> Run:
        """Raises `NotFound`, `Conflict` when it has ended, `Unavailable`."""
        self._leading.check()
        run = await self._get(run_id)
        if run.status not in ACTIVE:
            raise Conflict(f"run {run_id} has ended: {run.status}", hint="GET /api/v1/runs shows those under way")
        if run_id in self._submitting:
            raise Conflict(f"run {run_id} is being submitted", hint="try again in a moment")
        await self._control.stop(run.flower_run_id)
        await self._follow(run)
        return await self._get(run_id)

    async def logs(self, run_id: str) -> str:
        """What the ServerApp wrote, its end when long. Raises `NotFound`, `Unavailable`."""
        run = await self._get(run_id)
        if run.status in ACTIVE and run.flower_run_id:
            self._leading.check()
            return await self._control.log(run.flower_run_id)
        return await self._store.log(run_id)

    # ---- what the ServerApp's process tells ---------------------------------------------------------------------

    async def report(self, flower_run_id: str, report: RunReport) -> None:
        """A report that comes twice, or after the run's end, is harmless. Raises `NotFound`, `Unprocessable`, or
        `Unavailable` to a ServerApp whose hub runs the federation no more."""
        self._leading.check()
        if isinstance(report, MessagesPushed):
            self._mailboxes.wake(report.nodes)  # first: devices wait for it
        devices = await self._names(report)
        async with self._changing:
            run = await self._store.run_of_flower(flower_run_id)
            if run is None:
                raise NotFound(f"no run with Flower's number {flower_run_id[:40]!r}")
            await self._receipts.report(run, report, devices)
            rounds = await self._store.rounds(run.id)
            changed, round = fold(run, rounds, report, at=time.time(), devices=devices)
            if isinstance(report, VersionMade) and round is not None:
                made = await self._models.register(replace(report.manifest, run_id=run.id))
                round = replace(round, version=made.version)
                if changed.status is RunStatus.FINISHED:  # it came late: it may be the best
                    changed = await self._promoted(changed, rounds)
            if round is not None and round not in rounds:
                await self._store.save_round(round)
                self._live.publish(RoundChanged(data=round))
            if changed != run:
                await self._save(changed)

    # ---- following runs to their end ----------------------------------------------------------------------------

    async def watch(self) -> None:
        """Follows the runs under way, also those of before this process, until it is cancelled."""
        await self._announce()
        while True:
            self._started.clear()
            active = await self._store.active()
            for run in active:
                await self._follow(run)
            if active:
                await self._standby.look()
                await asyncio.sleep(LOOK_EVERY)
            else:
                await self._started.wait()

    async def _follow(self, run: Run) -> None:
        if run.id in self._submitting:
            return
        try:
            status = await self._control.status(run.flower_run_id) if run.flower_run_id else None
            if status is None:
                await self._end(run, lost(run, len(await self._models.of_run(run.id))), "")
            elif status.finished:
                text = await self._control.log(run.flower_run_id)
                await self._end(run, outcome_of(status, text), text)
            else:
                await self._tell_pause(run, status)
        except Unavailable as error:
            self._told.pop(run.id, None)
            await self._give_reason(run, error.args[0])

    async def _end(self, run: Run, outcome: Outcome, text: str) -> None:
        if text:
            await self._store.save_log(run.id, text)
        async with self._changing:
            run = await self._get(run.id)
            if run.status not in ACTIVE:
                return
            await self._receipts.ending(run)
            if outcome.status is RunStatus.FINISHED:
                run = await self._promoted(run, await self._store.rounds(run.id))
            run = replace(run, status=outcome.status, reason=outcome.reason, finished_at=time.time(), eta=None)
            await self._save(run)
        self._told.pop(run.id, None)
        self._receipts.ended(run)
        log.info("run ended", extra={"run": run.id, "status": run.status, "reason": run.reason})
        await self._announce()

    async def _promoted(self, run: Run, rounds: Sequence[Round]) -> Run:
        if run.promote != "best":
            return run
        choice = best_version(await self._models.of_run(run.id), rounds, run.metric)
        run = with_warning(run, choice.note)
        if choice.version is None:
            return run
        try:
            await self._models.promote(choice.version.model, choice.version.version)
        except Rejected as error:
            return with_warning(run, error.args[0])
        return replace(run, promoted_version=choice.version.version)

    async def _tell_pause(self, run: Run, status: FlowerStatus) -> None:
        """Looks again, and says again, each time that PATIENCE has passed without a round."""
        waited = pause(run, await self._store.rounds(run.id), time.time())
        times = int(waited // PATIENCE)
        if times == self._told.get(run.id):
            return
        self._told[run.id] = times
        if times:
            text = await self._control.log(run.flower_run_id)
            reason = waiting_for(status, text, await self._devices.list(), times * PATIENCE)
            await self._give_reason(run, reason)
        else:
            await self._give_reason(run, "")

    async def _give_reason(self, run: Run, reason: str) -> None:
        async with self._changing:
            run = await self._get(run.id)
            if run.status in ACTIVE and run.reason != reason:
                await self._save(replace(run, reason=reason))
                if reason:
                    log.warning("run stands still", extra={"run": run.id, "reason": reason})

    # ---- parts --------------------------------------------------------------------------------------------------

    async def _submit(self, new: NewRun, fab: bytes) -> Run:
        await self._save(new.run)
        try:
            flower_run_id = await self._control.start(fab, new.overrides)
        except (Unavailable, Rejected) as error:
            failed = replace(new.run, status=RunStatus.FAILED, reason=error.args[0], finished_at=time.time())
            await self._save(failed)
            raise
        run = replace(new.run, flower_run_id=flower_run_id)
        await self._save(run)
        return run

    async def _need_devices(self) -> None:
        if all(device.status is DeviceStatus.REVOKED for device in await self._devices.list()):
            raise Conflict("no device is enrolled", hint="on a device: flip-agent enrol URL --token T")

    async def _names(self, report: RunReport) -> dict[str, DeviceId]:
        match report:
            case MessagesPushed():
                nodes = report.nodes
            case ReplyReceived():
                nodes = [report.node]
            case _:
                nodes = []
        found = {node: await self._devices.device_of_node(node) for node in nodes}
        return {node: device for node, device in found.items() if device is not None}

    async def _announce(self) -> None:
        async with self._changing:  # or an older list could be announced after a newer one
            active = await self._store.active()
            await self._devices.announce_work([run.id for run in active if run.flower_run_id])

    async def _get(self, run_id: str) -> Run:
        run = await self._store.run(run_id)
        if run is None:
            raise NotFound(f"no run {run_id[:80]!r}", hint="GET /api/v1/runs lists them")
        return run

    async def _save(self, run: Run) -> None:
        await self._store.save_run(run)
        self._live.publish(RunChanged(data=run))
