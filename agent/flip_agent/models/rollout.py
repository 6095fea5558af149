"""Brings the versions that the hub wants into service: verify, fetch, have `serve` load and try them, flip, serve.

Nothing is downloaded that no trusted key has signed, and nothing is flipped that was not verified by hash and accepted
by the inference server's probe and trial; until then, and after any failure, the earlier version answers. All that must
survive is on the disk already (refusals, parts, blobs, the `active` link), and each step does nothing when its work is
done: after a power cut the rollout starts from the top of the table (`models.stages`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from flip_agent.inference_peers import InferencePeers
from flip_agent.models.disk_work import to_its_end
from flip_agent.models.fetch import Fetch
from flip_agent.models.rollback import Rollbacks
from flip_agent.models.rollout_times import RolloutTimes
from flip_agent.models.signature import Untrusted
from flip_agent.models.stages import STEPS, Outcome, Stage, following
from flip_agent.models.store import ModelStore
from flip_agent.reported import Reported
from flip_agent.watched import Watched, first_of, run_until
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Corrupt, Rejected, Unavailable
from flip_wire.fleet import DesiredState
from flip_wire.models import ModelAssignment, Sha256
from flip_wire.spans import Spans

log = logging.getLogger(__name__)

_TRIAL_MARGIN = 60.0
"""Seconds that `serve` has beyond the time of a trial."""


class Rollout:
    def __init__(
        self,
        store: ModelStore,
        fetch: Fetch,
        desired: Watched[DesiredState],
        inference: InferencePeers,
        rollbacks: Rollbacks,
        reported: Reported,
        *,
        verify: Callable[[ModelAssignment], Awaitable[None]],
        tell: Callable[[Spans], Awaitable[None]],
        trial: Callable[[], float],
        only: Callable[[ModelAssignment], bool] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        """`verify` raises `Untrusted`; `tell` hears where the time of each rollout went; `trial` says how many seconds
        one lasts at most; `only` says which versions may be brought at all, by default every one."""
        self._store = store
        self._fetch = fetch
        self._desired = desired
        self._inference = inference
        self._rollbacks = rollbacks
        self._reported = reported
        self._verify_signature = verify
        self._tell = tell
        self._trial = trial
        self._only = only
        self._backoff = backoff or Backoff()
        self._times = RolloutTimes()
        self._stages: dict[Sha256, Stage] = {}
        self._steps: dict[Stage, Callable[[ModelAssignment], Awaitable[None]]] = {
            Stage.WANTED: self._verify,
            Stage.SIGNED: fetch.version,
            Stage.FETCHED: self._prepare,
            Stage.PREPARED: self._try,
            Stage.TRIED: self._flip,
            Stage.FLIPPED: self._activate,
        }

    async def run(self) -> None:
        """A change of what is wanted, or of what may be brought, cuts off what is under way; an unfinished download is
        resumed later."""
        while True:
            models, changes = self._desired.value.models, self._rollbacks.changes
            await run_until(
                first_of(self._wanted_other_than(models), changes.other_than(changes.value)), self._bring(models)
            )

    async def _wanted_other_than(self, models: list[ModelAssignment]) -> None:
        await self._desired.until(lambda desired: desired.models != models)

    async def _bring(self, models: list[ModelAssignment]) -> None:
        """Again for each new `serve` process: it may find on the disk what its predecessor had in memory."""
        allowed = [wanted for wanted in models if self._only is None or self._only(wanted)]
        self._rollbacks.wanted(models)
        while True:
            self._begin_anew(models)
            arrivals = self._inference.arrivals.value
            failures = 0
            while under_way := [wanted for wanted in allowed if self._stage(wanted) in self._steps]:
                for wanted in under_way:
                    await self._advance(wanted)
                if any(self._stage(wanted) in self._steps for wanted in under_way):
                    failures += 1
                    await asyncio.sleep(self._backoff.delay(failures))
            await self._collect(allowed)
            await self._inference.arrivals.other_than(arrivals)

    async def _advance(self, wanted: ModelAssignment) -> None:
        """Step by step to the end, or to the first failure."""
        if self._store.active(wanted.model) == wanted.manifest and self._inference.serves(wanted):
            self._stages[wanted.manifest] = Stage.SERVING
        while (stage := self._stage(wanted)) in self._steps:
            began = self._times.now()
            outcome, reason = await self._attempt(stage, wanted)
            self._times.attempted(wanted, STEPS[stage], began, reason)
            self._stages[wanted.manifest] = following(stage, outcome)
            if outcome is not Outcome.DONE:
                await self._failed(wanted, reason)
                return
        self._reported.settled(wanted.model)
        log.info("serving", extra={"model": wanted.model, "version": wanted.version})
        await self._tell_times(wanted)

    async def _failed(self, wanted: ModelAssignment, reason: str) -> None:
        stage = self._stage(wanted)
        if stage is Stage.REFUSED:
            self._rollbacks.refuse(wanted, reason)
        if self._reported.failed(wanted, reason, again=stage in self._steps):
            about = {"model": wanted.model, "version": wanted.version, "reason": reason}
            log.warning("rollout failed", extra=about)
        if stage not in self._steps:
            await self._tell_times(wanted)

    async def _tell_times(self, wanted: ModelAssignment) -> None:
        if spans := self._times.finished(wanted):
            await self._tell(spans)

    async def _attempt(self, stage: Stage, wanted: ModelAssignment) -> tuple[Outcome, str]:
        try:
            await self._steps[stage](wanted)
        except Untrusted as error:
            return Outcome.UNTRUSTED, str(error)
        except Rejected as error:
            return Outcome.REJECTED, str(error)
        except Corrupt as error:
            return Outcome.CORRUPT, str(error)
        except Unavailable as error:
            return Outcome.UNAVAILABLE, str(error)
        return Outcome.DONE, ""

    # ---- the steps ----

    async def _verify(self, wanted: ModelAssignment) -> None:
        if not self._store.knows(wanted):  # what was in service was verified before
            await self._verify_signature(wanted)

    async def _prepare(self, wanted: ModelAssignment) -> None:
        if reason := await self._inference.of(wanted.model).prepare(wanted):
            raise Rejected(reason)

    async def _try(self, wanted: ModelAssignment) -> None:
        """What was in service has nothing to prove."""
        if self._store.knows(wanted):
            return
        if reason := await self._inference.of(wanted.model).try_out(wanted, self._trial() + _TRIAL_MARGIN):
            raise Rejected(reason)

    async def _flip(self, wanted: ModelAssignment) -> None:
        self._store.activate(wanted.model, wanted.manifest)

    async def _activate(self, wanted: ModelAssignment) -> None:
        await self._inference.of(wanted.model).activate(wanted)

    # ---- what is left, and what is known ----

    async def _collect(self, models: list[ModelAssignment]) -> None:
        """What was given up stays too, so that `flip-agent models retry` needs no hub."""
        refusals = [(wanted.manifest, self._rollbacks.refusal(wanted.manifest)) for wanted in models]
        keep = {manifest for manifest, refusal in refusals if refusal is not None and refusal.to_version is not None}
        keep |= {wanted.manifest for wanted in models if self._stage(wanted) is Stage.SERVING}
        try:
            freed = await to_its_end(self._store.collect, keep)
        except (Corrupt, Rejected) as error:  # then old files stay until a later rollout
            log.warning("old model files stay", extra={"reason": str(error)})
        else:
            if freed:
                log.info("old model files removed", extra={"bytes": freed})

    def _stage(self, wanted: ModelAssignment) -> Stage:
        if self._rollbacks.refusal(wanted.manifest) is not None:
            return Stage.REFUSED
        return self._stages.get(wanted.manifest, Stage.WANTED)

    def _begin_anew(self, models: list[ModelAssignment]) -> None:
        """A version that is wanted anew is brought anew; only refusals are remembered."""
        self._times.forget()
        self._stages.clear()
        numbers = {(each.model, each.version) for each in models}
        for failure in self._reported.state.value.failures:
            if (failure.model, failure.version) not in numbers:
                self._reported.settled(failure.model)
        for wanted in models:
            if (refusal := self._rollbacks.refusal(wanted.manifest)) is not None:
                self._reported.failed(wanted, refusal.sentence, again=False)
