"""A prepared version before it answers anybody: on the newest samples whose truth is known, and beside live traffic.

It ends early when enough was seen, and in favour of the version when too little was: a device without traffic is no
reason to stay behind.
"""

import asyncio
import logging
from typing import Protocol

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from flip_agent.feedback.judgement import Labelled
from flip_agent.inference.engine.predictor import Predictor
from flip_agent.inference.engine.served_model import ServedModel, Version
from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.guard.comparison import Comparison, Copies, SpareThread, comparable
from flip_agent.inference.guard.objections import Agreement, Figures, Limits, accuracy_objection, shadow_objection
from flip_runtime.errors import Rejected

log = logging.getLogger(__name__)

_SAMPLES = 500
"""With a known truth; the newest."""
_AT_ONCE = 16


class Samples(Protocol):
    async def labelled(self, model: str, limit: int) -> Labelled: ...


class Result(Struct, frozen=True, kw_only=True):
    reason: str
    """Why the version must not answer; empty when it may."""
    detail: str
    """What was seen."""


class Trial:
    def __init__(
        self,
        models: ServedModels,
        copies: Copies,
        spare: SpareThread,
        samples: Samples,
        limits: Limits,
        *,
        shadow: int,
        within: float,
    ) -> None:
        """At most `shadow` live calls are compared, within so many seconds."""
        self._models = models
        self._copies = copies
        self._spare = spare
        self._samples = samples
        self._limits = limits
        self._shadow = shadow
        self._within = within

    async def run(self, name: str, version: int) -> Result:
        model = next((model for model in self._models.all if model.name == name), None)
        candidate = None if model is None else model.prepared
        if model is None or candidate is None or candidate.manifest.version != version:
            return Result(reason="", detail="nothing to compare with")
        known, seen = await self._on_samples(model, candidate), Agreement()
        reason = accuracy_objection(self._limits, *known)
        if not reason and self._shadow and model.active is not None and comparable(candidate, model.active):
            seen = await self._beside(model, candidate, model.active)
            reason = shadow_objection(replace(self._limits, judged_by=min(self._limits.judged_by, self._shadow)), seen)
        detail = (
            f"{known[0].correct} of {known[0].judged} samples right, {seen.agreeing} of {seen.rows} live rows alike"
        )
        log.info("tried", extra={"model": name, "version": version, "reason": reason or "none", "seen": detail})
        return Result(reason=reason, detail=detail)

    async def _on_samples(self, model: ServedModel, candidate: Version) -> tuple[Figures, Figures]:
        """Of the candidate, and of the version that answers now."""
        if not self._limits.min_accuracy:
            return Figures(), Figures()
        samples = await self._samples.labelled(model.name, _SAMPLES)
        active = None if model.active is None else model.active.loaded
        return (
            await self._spare.run(lambda: _judged(candidate.predictor, samples)),
            await self._spare.run(lambda: Figures() if active is None else _judged(active, samples)),
        )

    async def _beside(self, model: ServedModel, candidate: Version, active: Version) -> Agreement:
        comparison = Comparison(candidate, active, model.batcher, self._spare)
        try:
            with self._copies.given_to(comparison, model.name):
                async with asyncio.timeout(self._within):
                    await comparison.run(self._shadow)
        except TimeoutError:
            pass  # what was seen until now counts
        return comparison.seen


def _judged(predictor: Predictor, samples: Labelled) -> Figures:
    """What the model does not take, or has no answer for, is answered wrongly."""
    specs = predictor.manifest.inputs
    count, correct = len(samples.labels), 0
    if any(spec.name not in samples.inputs for spec in specs):
        return Figures()  # samples of another form of this model
    size = _AT_ONCE if predictor.batched else 1
    for start in range(0, count, size):
        inputs = [samples.inputs[spec.name][start : start + size].astype(spec.dtype) for spec in specs]
        try:
            scores = predictor.run(inputs)[0]
        except Rejected:
            continue
        if scores.ndim == 2:
            correct += int((np.argmax(scores, axis=1) == samples.labels[start : start + size]).sum())
    return Figures(judged=count, correct=correct)
