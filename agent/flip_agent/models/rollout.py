"""Brings the versions that the hub wants into service: fetch, verify, have `serve` check them, flip, serve.

Nothing is flipped that was not verified by hash and accepted by the inference server's probe; until then, and after
any failure, the earlier version answers. All that must survive is on the disk already (parts, blobs, the `active`
link), and each step does nothing when its work is done: after a power cut the rollout starts from the top.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import Enum, auto

from flip_agent.hub.client import HubClient
from flip_agent.inference_peer import InferencePeer
from flip_agent.models.fetch import fetch_version
from flip_agent.models.rollout_times import RolloutTimes
from flip_agent.models.store import ModelStore
from flip_agent.reported import Reported
from flip_agent.watched import Watched, run_until
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Corrupt, Rejected, Unavailable
from flip_wire.fleet import DesiredState
from flip_wire.models import ModelAssignment, Sha256
from flip_wire.spans import Spans

log = logging.getLogger(__name__)


class Stage(Enum):
    """How far a version has come."""

    WANTED = auto()
    FETCHED = auto()
    PREPARED = auto()
    FLIPPED = auto()
    SERVING = auto()
    REFUSED = auto()
    """Never tried again under the same manifest."""


class Outcome(Enum):
    """How the step out of a stage ended."""

    DONE = auto()
    UNAVAILABLE = auto()
    CORRUPT = auto()
    REJECTED = auto()


# An inference server that goes away takes what it had prepared with it; what was fetched stays.
_TABLE = {
    (Stage.WANTED, Outcome.DONE): Stage.FETCHED,
    (Stage.WANTED, Outcome.UNAVAILABLE): Stage.WANTED,
    (Stage.WANTED, Outcome.CORRUPT): Stage.WANTED,
    (Stage.WANTED, Outcome.REJECTED): Stage.REFUSED,
    (Stage.FETCHED, Outcome.DONE): Stage.PREPARED,
    (Stage.FETCHED, Outcome.UNAVAILABLE): Stage.FETCHED,
    (Stage.FETCHED, Outcome.CORRUPT): Stage.WANTED,
    (Stage.FETCHED, Outcome.REJECTED): Stage.REFUSED,
    (Stage.PREPARED, Outcome.DONE): Stage.FLIPPED,
    (Stage.PREPARED, Outcome.UNAVAILABLE): Stage.FETCHED,
    (Stage.PREPARED, Outcome.CORRUPT): Stage.WANTED,
    (Stage.PREPARED, Outcome.REJECTED): Stage.REFUSED,
    (Stage.FLIPPED, Outcome.DONE): Stage.SERVING,
    (Stage.FLIPPED, Outcome.UNAVAILABLE): Stage.FETCHED,
    (Stage.FLIPPED, Outcome.CORRUPT): Stage.WANTED,
    (Stage.FLIPPED, Outcome.REJECTED): Stage.REFUSED,
}


_PARTS = {Stage.WANTED: "fetch", Stage.FETCHED: "prepare", Stage.PREPARED: "activate", Stage.FLIPPED: "activate"}
"""What the step out of a stage is called in the spans."""


def following(stage: Stage, outcome: Outcome) -> Stage:
    return _TABLE[stage, outcome]


class Rollout:
    def __init__(
        self,
        store: ModelStore,
        hub: HubClient,
        desired: Watched[DesiredState],
        inference: InferencePeer,
        reported: Reported,
        tell: Callable[[Spans], Awaitable[None]],
        backoff: Backoff | None = None,
        only: Callable[[ModelAssignment], bool] | None = None,
    ) -> None:
        """`tell` hears where the time of each rollout went; `only` says which versions may be brought at all, by
        default every one."""
        self._tell = tell
        self._only = only
        self._times = RolloutTimes()
        self._store = store
        self._desired = desired
        self._inference = inference
        self._reported = reported
        self._backoff = backoff or Backoff()
        self._stages: dict[Sha256, Stage] = {}
        self._steps: dict[Stage, Callable[[ModelAssignment], Awaitable[None]]] = {
            Stage.WANTED: lambda wanted: fetch_version(store, hub, wanted),
            Stage.FETCHED: lambda wanted: _prepare(inference, wanted),
            Stage.PREPARED: self._flip,
            Stage.FLIPPED: inference.activate,
        }

    async def run(self) -> None:
        """A change of what is wanted cuts off what is under way; an unfinished download is resumed later."""
        while True:
            models = self._desired.value.models
            self._forget_all_but(models)
            allowed = [wanted for wanted in models if self._only is None or self._only(wanted)]
            await run_until(self._wanted_other_than(models), self._bring(allowed))

    async def _wanted_other_than(self, models: list[ModelAssignment]) -> None:
        await self._desired.until(lambda desired: desired.models != models)

    async def _bring(self, models: list[ModelAssignment]) -> None:
        """Again for each new `serve` process: it may find on the disk what its predecessor had in memory."""
        while True:
            arrivals = self._inference.arrivals.value
            failures = 0
            while under_way := [wanted for wanted in models if self._stage(wanted) in self._steps]:
                for wanted in under_way:
                    await self._advance(wanted)
                if any(self._stage(wanted) in self._steps for wanted in under_way):
                    failures += 1
                    await asyncio.sleep(self._backoff.delay(failures))
            await self._collect(models)
            await self._inference.arrivals.other_than(arrivals)
            self._forget_all_but(models)

    async def _advance(self, wanted: ModelAssignment) -> None:
        """Step by step to the end, or to the first failure."""
        if self._store.active(wanted.model) == wanted.manifest and self._inference.serves(wanted):
            self._stages[wanted.manifest] = Stage.SERVING
        while (stage := self._stage(wanted)) in self._steps:
            began = self._times.now()
            outcome, reason = await self._attempt(stage, wanted)
            self._times.attempted(wanted, _PARTS[stage], began, reason)
            self._stages[wanted.manifest] = following(stage, outcome)
            if outcome is not Outcome.DONE:
                if self._reported.failed(wanted, reason):
                    about = {"model": wanted.model, "version": wanted.version, "reason": reason}
                    log.warning("rollout failed", extra=about)
                if self._stage(wanted) is Stage.REFUSED:
                    await self._tell_times(wanted)
                return
        self._reported.settled(wanted.model)
        log.info("serving", extra={"model": wanted.model, "version": wanted.version})
        await self._tell_times(wanted)

    async def _tell_times(self, wanted: ModelAssignment) -> None:
        if spans := self._times.finished(wanted):
            await self._tell(spans)

    async def _attempt(self, stage: Stage, wanted: ModelAssignment) -> tuple[Outcome, str]:
        try:
            await self._steps[stage](wanted)
        except Rejected as error:
            return Outcome.REJECTED, str(error)
        except Corrupt as error:
            return Outcome.CORRUPT, str(error)
        except Unavailable as error:
            return Outcome.UNAVAILABLE, str(error)
        return Outcome.DONE, ""

    async def _flip(self, wanted: ModelAssignment) -> None:
        self._store.activate(wanted.model, wanted.manifest)

    async def _collect(self, models: list[ModelAssignment]) -> None:
        keep = {wanted.manifest for wanted in models if self._stage(wanted) is Stage.SERVING}
        try:
            freed = await asyncio.to_thread(self._store.collect, keep)
        except (Corrupt, Rejected) as error:  # then old files stay until a later rollout
            log.warning("old model files stay", extra={"reason": str(error)})
        else:
            if freed:
                log.info("old model files removed", extra={"bytes": freed})

    def _stage(self, wanted: ModelAssignment) -> Stage:
        return self._stages.get(wanted.manifest, Stage.WANTED)

    def _forget_all_but(self, models: list[ModelAssignment]) -> None:
        """A version that is wanted anew is brought anew; only refusals are remembered, while they are wanted."""
        wanted = {each.manifest for each in models}
        self._times.forget()
        self._stages = {
            sha256: stage for sha256, stage in self._stages.items() if sha256 in wanted and stage is Stage.REFUSED
        }
        for failure in self._reported.state.value.failures:
            if (failure.model, failure.version) not in {(each.model, each.version) for each in models}:
                self._reported.settled(failure.model)


async def _prepare(inference: InferencePeer, wanted: ModelAssignment) -> None:
    if reason := await inference.prepare(wanted):
        raise Rejected(reason)
