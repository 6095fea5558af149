"""Follows runs to their end, and takes them on when their ServerApp or the SuperLink has died.

The registry is the truth about a run; the SuperLink only about whether it still goes on. A run whose ServerApp was
killed, or whose SuperLink forgot it, is submitted again and goes on from its last checkpoint; when that helped nothing
several times in a row, it ends and says so.
"""

import asyncio
import logging
import time

from msgspec.structs import replace

from flip_hub.contributions.receipts import Receipts
from flip_hub.devices.service import DeviceService
from flip_hub.federation.control import FlowerStatus
from flip_hub.federation.outcome import GoesOn, Outcome, all_void, fate_of, waiting_for
from flip_hub.federation.progress import PATIENCE, pause
from flip_hub.federation.promotion import Promotion
from flip_hub.federation.run_book import RunBook
from flip_hub.federation.run_submission import Control, RunSubmission
from flip_hub.federation.schemas import Run, RunStatus
from flip_hub.federation.standby import Standby
from flip_hub.federation.store import ACTIVE
from flip_runtime.errors import Rejected, Unavailable

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between looks at the runs under way; each costs the SuperLink a few milliseconds."""


class RunWatch:
    def __init__(
        self,
        book: RunBook,
        control: Control,
        devices: DeviceService,
        promotion: Promotion,
        receipts: Receipts,
        standby: Standby,
        submission: RunSubmission,
    ) -> None:
        self._book = book
        self._control = control
        self._devices = devices
        self._promotion = promotion
        self._receipts = receipts
        self._standby = standby
        self._submission = submission
        self._started = asyncio.Event()
        self._told: dict[str, int] = {}
        """How many times people were told that a run stands still."""

    def started(self) -> None:
        """There is a run to follow."""
        self._started.set()

    async def run(self) -> None:
        """Follows the runs under way, also those of before this process, until it is cancelled."""
        await self._book.announce()
        while True:
            self._started.clear()
            active = await self._book.store.active()
            for run in active:
                await self.follow(run)
            if active:
                await self._standby.look()
                await asyncio.sleep(LOOK_EVERY)
            else:
                await self._started.wait()

    async def follow(self, run: Run) -> None:
        """One look."""
        if run.id in self._book.submitting:
            return
        try:
            status = await self._control.status(run.flower_run_id) if run.flower_run_id else None
            dead = run.status is RunStatus.RUNNING and self._receipts.journals.dead(run.id)
            ended = status is not None and (status.finished or dead)
            text = await self._control.log(run.flower_run_id) if ended else ""
            fate = fate_of(run, status, text, dead=dead)
            if fate is None:
                assert status is not None
                await self._tell_pause(run, status)
            elif isinstance(fate, Outcome):
                await self.end(run, fate, text)
            else:
                await self._go_on(run, fate)
        except Unavailable as error:
            self._told.pop(run.id, None)
            await self._give_reason(run, error.args[0])

    async def end(self, run: Run, outcome: Outcome, text: str) -> None:
        if text:
            await self._book.store.save_log(run.id, text)
        async with self._book.changing:
            seen, run = run, await self._book.get(run.id)
            if not _as_seen(seen, run):
                return
            await self._receipts.ending(run)
            if outcome.status is RunStatus.FINISHED:
                rounds = await self._book.store.rounds(run.id)
                outcome = Outcome(outcome.status, outcome.reason or all_void(rounds))
                run = await self._promotion.of(run, rounds)
            run = replace(run, status=outcome.status, reason=outcome.reason, finished_at=time.time(), eta=None)
            await self._book.save(run)
        self._told.pop(run.id, None)
        await self._receipts.ended(run)
        log.info("run ended", extra={"run": run.id, "status": run.status, "reason": run.reason})
        await self._book.announce()

    async def _go_on(self, seen: Run, why: GoesOn) -> None:
        run = await self._book.get(seen.id)
        if not _as_seen(seen, run):
            return
        log.warning("the run goes on", extra={"run": run.id, "round": run.round, "because": why.reason})
        try:
            await self._submission.go_on(replace(run, reason=why.reason))
        except Rejected as error:
            run = await self._book.get(run.id)
            await self.end(run, Outcome(RunStatus.FAILED, f"{why.reason}; it cannot go on: {error.args[0]}"), "")

    async def _tell_pause(self, run: Run, status: FlowerStatus) -> None:
        """Looks again, and says again, each time that PATIENCE has passed without a round."""
        waited = pause(run, await self._book.store.rounds(run.id), time.time())
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
        def given(run: Run) -> Run:
            return replace(run, reason=reason) if run.status in ACTIVE else run

        before = run.reason
        run = await self._book.change(run.id, given)
        if reason and run.reason == reason != before:
            log.warning("run stands still", extra={"run": run.id, "reason": reason})


def _as_seen(seen: Run, now: Run) -> bool:
    """False of a run that was paused, resumed or ended while the SuperLink was asked about it."""
    paused = RunStatus.PAUSED
    under_way = now.status in (*ACTIVE, paused) and (now.status is paused) == (seen.status is paused)
    return under_way and now.flower_run_id == seen.flower_run_id
