"""Runs for people: started, watched, stopped, paused, resumed.

A run is kept before it is submitted, and its versions and rounds as they are made, so that what a crash leaves behind
can be told from what is still under way.
"""

import logging
import time
from contextlib import suppress

from msgspec.structs import replace

from flip_hub.api.pages import Page, Wanted
from flip_hub.cluster.lease import ALONE, Leading
from flip_hub.federation.outcome import Outcome
from flip_hub.federation.run_book import RunBook
from flip_hub.federation.run_submission import Control, RunSubmission
from flip_hub.federation.run_watch import RunWatch
from flip_hub.federation.schemas import Run, RunDetail, RunRequest, RunStatus
from flip_hub.federation.standby import Standby
from flip_hub.federation.store import ACTIVE
from flip_hub.federation.wanted_run import WantedRun
from flip_hub.problem import Conflict
from flip_runtime.errors import Unavailable
from flip_runtime.trace import current_traceparent

log = logging.getLogger(__name__)


class RunService:
    def __init__(
        self,
        book: RunBook,
        control: Control,
        wanted: WantedRun,
        submission: RunSubmission,
        watch: RunWatch,
        standby: Standby,
        leading: Leading = ALONE,
    ) -> None:
        self._book = book
        self._control = control
        self._wanted = wanted
        self._submission = submission
        self._watch = watch
        self._standby = standby
        self._leading = leading

    async def runs(self, wanted: Wanted, status: RunStatus | None = None) -> Page[Run]:
        """Newest first."""
        return await self._book.store.runs(wanted, status)

    async def detail(self, run_id: str) -> RunDetail:
        """Raises `NotFound`."""
        run, rounds = await self._book.get(run_id), await self._book.store.rounds(run_id)
        turnout = await self._standby.turnout() if run.status in ACTIVE else None
        return RunDetail(run=run, rounds=rounds, turnout=turnout)

    async def start(self, request: RunRequest, by: str = "") -> Run:
        """Keeps the run, submits it, and announces it to the devices; `by` is the user who asks. Raises `Refused`, or
        `Unavailable`."""
        self._leading.check()
        run = await self._wanted.run(request, time.time(), by, current_traceparent())
        run = await self._submission.begin(run)
        self._watch.started()
        log.info("run started", extra={"run": run.id, "flower_run": run.flower_run_id, "app": run.app})
        return run

    async def check(self, request: RunRequest, by: str = "") -> Run:
        """As it would be started, with the price of its privacy; nothing is kept. Raises as `start`."""
        return await self._wanted.run(request, time.time(), by, "")

    async def stop(self, run_id: str) -> Run:
        """Raises `NotFound`, `Conflict` when it has ended, `Unavailable`."""
        run = await self._under_way(run_id, RunStatus.PAUSED)
        if run.status is RunStatus.PAUSED or not run.flower_run_id:
            await self._watch.end(run, Outcome(RunStatus.STOPPED, ""), "")
        else:
            await self._control.stop(run.flower_run_id)
            await self._watch.follow(run)
        return await self._book.get(run_id)

    async def pause(self, run_id: str) -> Run:
        """Returns when the SuperLink has ended its ServerApp; where it does not answer, the run is not paused. What
        devices have finished they keep, and train no finished round again when it goes on. Raises as `stop`."""
        run = await self._under_way(run_id)
        paused = await self._book.change(run.id, _paused)
        try:
            if run.flower_run_id:
                await self._control.stop(run.flower_run_id)
        except Unavailable:
            await self._book.change(run.id, lambda now: replace(now, status=run.status) if now == paused else now)
            raise
        finally:
            await self._book.announce()
        if run.flower_run_id:
            with suppress(Unavailable):
                await self._book.store.save_log(run.id, await self._control.log(run.flower_run_id))
        log.info("run paused", extra={"run": run.id, "round": run.round})
        return paused

    async def resume(self, run_id: str) -> Run:
        """Raises `NotFound`, `Conflict` when it is not paused, `Unavailable`."""
        self._leading.check()
        run = await self._book.get(run_id)
        if run.status is not RunStatus.PAUSED:
            raise Conflict(f"run {run_id} is not paused: {run.status}", hint=_CONTINUE)
        run = await self._submission.go_on(replace(run, reason="", tries=0))
        self._watch.started()
        log.info("run resumed", extra={"run": run.id, "round": run.round})
        return run

    async def logs(self, run_id: str) -> str:
        """What the ServerApp wrote, its end when long. Raises `NotFound`, `Unavailable`."""
        run = await self._book.get(run_id)
        if run.status in ACTIVE and run.flower_run_id:
            self._leading.check()
            return await self._control.log(run.flower_run_id)
        return await self._book.store.log(run_id)

    async def _under_way(self, run_id: str, *also: RunStatus) -> Run:
        self._leading.check()
        run = await self._book.get(run_id)
        if run.status not in (*ACTIVE, *also):
            raise Conflict(f"run {run_id} is {run.status}", hint="GET /api/v1/runs shows those under way")
        if run_id in self._book.submitting:
            raise Conflict(f"run {run_id} is being submitted", hint="try again in a moment")
        return run


_CONTINUE = "one that has ended is continued by a new run: plan.start names it"


def _paused(run: Run) -> Run:
    """Raises `Conflict` when it ended meanwhile."""
    if run.status not in ACTIVE:
        raise Conflict(f"run {run.id} is {run.status}", hint="GET /api/v1/runs shows those under way")
    return replace(run, status=RunStatus.PAUSED, reason="", eta=None)
