"""Watches the versions that answer, and goes back to the version before when one does not deserve to.

For some time after a version has taken over, and until enough was seen, it is compared with the version before: calls
it cannot compute, how long they take, whether both answer alike. Feedback is judged for as long as it answers. It goes
back only to an earlier version, never again to one that it has given up, and by itself: with or without hub and `run`.
Where there is nothing to go back to the version goes on, and people are told once.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Protocol

from flip_agent.inference.engine.served_model import ServedModel, Version
from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.guard.comparison import Comparison, Copies, SpareThread, comparable
from flip_agent.inference.guard.objections import (
    Agreement,
    Figures,
    Limits,
    accuracy_objection,
    agreement_objection,
    error_objection,
    latency_objection,
)
from flip_agent.inference.guard.verdicts import Verdict, Verdicts
from flip_agent.inference.metrics.latency import percentile
from flip_agent.inference.metrics.metrics import Counts, Metrics
from flip_wire.health import Condition, Severity
from flip_wire.models import LocalParts, Sha256

log = logging.getLogger(__name__)

_LOOK_EVERY = 0.5
"""Seconds."""
_FEEDBACKS = 200
"""The newest of a version, that its accuracy is reckoned from."""
_COMPARED = 500
"""Calls after a version has taken over; then enough is known of it."""
_VERSIONS = 16
"""Whose feedback is remembered."""


class Outcomes(Protocol):
    async def recent_outcomes(self, model: str, version: int, limit: int) -> list[bool]:
        """Oldest first."""
        ...


class Guardian:
    def __init__(
        self,
        models: ServedModels,
        metrics: Metrics,
        verdicts: Verdicts,
        copies: Copies,
        spare: SpareThread,
        outcomes: Outcomes,
        limits: Limits,
        *,
        watch: float,
        told: Callable[[Verdict], Awaitable[None]],
    ) -> None:
        """`watch`: seconds, 0 for no comparison with the version before; `told` hears of each verdict in force."""
        self._models = models
        self._metrics = metrics
        self._verdicts = verdicts
        self._copies = copies
        self._spare = spare
        self._outcomes = outcomes
        self._limits = limits
        self._watch = watch
        self._told = told
        self._watches: dict[str, _Watch] = {}
        self._feedback: dict[tuple[str, int], deque[bool]] = {}
        self._suspects: set[Sha256] = set()

    def judged(self, model: str, version: int, correct: bool) -> None:
        """Feedback has come: `feedback.judgement.Judged`."""
        if (known := self._feedback.get((model, version))) is not None:
            known.append(correct)

    async def run(self) -> None:
        """A service."""
        self._watches.clear()
        async with asyncio.TaskGroup() as group:
            while True:
                for model in self._models.all:
                    await self._look(model, group)
                await asyncio.sleep(_LOOK_EVERY)

    async def _look(self, model: ServedModel, group: asyncio.TaskGroup) -> None:
        active = model.active
        if active is None:
            return
        if active.loaded is None:
            self._end_watch(model.name)  # it would keep in memory what sleeps
            reason = self._by_feedback(model)
        else:
            watch = self._watches.get(model.name)
            if watch is None or not watch.is_of(active, _before(model)):
                watch = await self._begin_watch(model, active, group)
            if watch.over(self._watch, self._limits.judged_by):
                watch.end()
            reason = self._beside_the_one_before(model, watch) or self._by_feedback(model)
        if reason:
            await self._condemn(model, active, reason)

    async def _begin_watch(self, model: ServedModel, active: Version, group: asyncio.TaskGroup) -> "_Watch":
        self._end_watch(model.name)
        await self._remember(model)
        before = _before(model)
        watch = self._watches[model.name] = _Watch(active, before, self._metrics)
        if self._watch and self._limits.min_agreement and before is not None and comparable(active, before):
            comparison = Comparison(active, before, model.batcher, self._spare)
            watch.compare(group.create_task(self._compare(comparison, model.name)), comparison)
        return watch

    def _end_watch(self, model: str) -> None:
        if (watch := self._watches.pop(model, None)) is not None:
            watch.end()

    async def _compare(self, comparison: Comparison, model: str) -> None:
        with self._copies.given_to(comparison, model):
            await comparison.run(_COMPARED)

    def _by_feedback(self, model: ServedModel) -> str:
        judged = [self._of_feedback(model.name, version) for version in (model.active, _before(model))]
        return accuracy_objection(self._limits, *judged)

    def _beside_the_one_before(self, model: ServedModel, watch: "_Watch") -> str:
        if not self._watch or watch.ended:
            return ""
        now, before = watch.now(), watch.before
        return (
            error_objection(self._limits, now, before)
            or latency_objection(self._limits, now, before, _slowdown(model))
            or agreement_objection(self._limits, watch.seen)
        )

    async def _condemn(self, model: ServedModel, active: Version, reason: str) -> None:
        before = _before(model)
        if before is None:
            self._suspect(model, active, reason)
            return
        verdict = Verdict(
            model=model.name,
            version=active.manifest.version,
            manifest=active.sha256,
            to_version=before.manifest.version,
            reason=reason,
            at=time.time(),
        )
        await self._verdicts.condemn(verdict)
        await self._models.give_up(model.name, active.sha256)
        about = {"model": model.name, "version": verdict.version, "to": verdict.to_version, "reason": reason}
        log.error("rolled back", extra=about)
        await self._told(verdict)

    def _suspect(self, model: ServedModel, active: Version, reason: str) -> None:
        if active.sha256 in self._suspects:
            return
        self._suspects.add(active.sha256)
        text = f"{model.name} version {active.manifest.version}: {reason}; there is no version before it to go back to"
        log.error("version is bad, and there is none before it", extra={"model": model.name, "reason": reason})
        self._models.alarm(
            Condition(
                code="model-suspect",
                title="The served model does badly",
                severity=Severity.CRITICAL,
                text=text,
                since=time.time(),
            )
        )

    async def _remember(self, model: ServedModel) -> None:
        """The feedback to its versions that came before this process began."""
        for version in model.answering:
            key = (model.name, version.manifest.version)
            if key not in self._feedback:
                while len(self._feedback) >= _VERSIONS:
                    del self._feedback[next(iter(self._feedback))]
                self._feedback[key] = deque(maxlen=_FEEDBACKS)  # what comes from now on is told
                earlier = await self._outcomes.recent_outcomes(*key, _FEEDBACKS)
                self._feedback[key] = deque([*earlier, *self._feedback[key]], maxlen=_FEEDBACKS)

    def _of_feedback(self, model: str, version: Version | None) -> Figures:
        known = () if version is None else self._feedback.get((model, version.manifest.version), ())
        return Figures(judged=len(known), correct=sum(known))


class _Watch:
    """What is seen of a version from now on."""

    def __init__(self, active: Version, before: Version | None, metrics: Metrics) -> None:
        self._of = (_what(active), _what(before))
        self.ended = False
        self._began = time.monotonic()
        self._counts = metrics.of(active)
        self._answered, self._failed = self._counts.answered, self._counts.failed
        self.before = Figures() if before is None else _figures(metrics.of(before))
        """Of the version before, until then."""
        self._comparison: Comparison | None = None
        self._task: asyncio.Task[None] | None = None

    def is_of(self, active: Version, before: Version | None) -> bool:
        return self._of == (_what(active), _what(before))

    def compare(self, task: asyncio.Task[None], comparison: Comparison) -> None:
        self._task, self._comparison = task, comparison

    @property
    def seen(self) -> Agreement:
        return Agreement() if self._comparison is None else self._comparison.seen

    def now(self) -> Figures:
        return _figures(self._counts, self._answered, self._failed)

    def over(self, seconds: float, calls: int) -> bool:
        """Or ended before."""
        return self.ended or (time.monotonic() - self._began >= seconds and self.now().calls >= calls)

    def end(self) -> None:
        """Lets go of the version before."""
        self.ended = True
        if self._task is not None:
            self._task.cancel()
        self._comparison = self._task = None


def _what(version: Version | None) -> tuple[Sha256, LocalParts | None] | None:
    """What answers: with other parts of the device's own it is watched anew."""
    return None if version is None else (version.sha256, version.local)


def _before(model: ServedModel) -> Version | None:
    """The version to go back to: one that was there earlier, and not one that somebody has just gone back from."""
    active, previous = model.active, model.previous
    if active is None or previous is None or previous.manifest.version >= active.manifest.version:
        return None
    return previous


def _slowdown(model: ServedModel) -> float:
    """How many times the CPU of the version before the active one takes; 1 when that cannot be told."""
    active, before = model.active, _before(model)
    if active is None or active.loaded is None or before is None or before.loaded is None:
        return 1.0
    return model.batcher.costs(active.loaded).beside(model.batcher.costs(before.loaded))


def _figures(counts: Counts, answered: int = 0, failed: int = 0) -> Figures:
    """Since there were so many."""
    newest = min(counts.answered - answered, len(counts.recent))
    recent = list(islice(reversed(counts.recent), newest))
    return Figures(
        calls=counts.answered - answered + counts.failed - failed,
        failed=counts.failed - failed,
        p99=percentile(recent, 0.99),
    )
