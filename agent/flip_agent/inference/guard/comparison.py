"""Live calls of a model, computed once more by two of its versions, to see how they differ.

Nobody waits for it: a copy of the inputs is taken while few of them wait, a thread of the lowest priority computes when
the model's own worker has nothing to do, and rests as long as it has worked. What it has no time for is dropped and
counted.
"""

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from msgspec.structs import replace

from flip_agent.inference.engine.batcher import Batcher
from flip_agent.inference.engine.engine import Call
from flip_agent.inference.engine.predictor import Predictor
from flip_agent.inference.engine.served_model import Version
from flip_agent.inference.guard.objections import Agreement
from flip_agent.inference.problems import Refusal
from flip_agent.inference.tensors import Array
from flip_runtime.errors import Rejected

log = logging.getLogger(__name__)

_WAITING = 8
"""Calls."""
_MOST_ROWS = 16
"""Of one call."""
_IDLE_WITHIN = 1.0
"""Seconds that a copy waits for a gap in the traffic."""
_LOOK_AGAIN = 0.01
_SAME = 0.1
"""Share by which numbers of a model without classes may differ and still agree."""

T = TypeVar("T")


class SpareThread:
    """For work that nobody waits for: of the lowest priority, where the system has priorities for threads."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spare", initializer=_give_way)

    async def run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class Comparison:
    def __init__(self, candidate: Version, reference: Version, batcher: Batcher, spare: SpareThread) -> None:
        """Both loaded, and taking the same inputs (`comparable`)."""
        self._candidate = candidate.predictor
        self._reference = reference.predictor
        self._batcher = batcher
        self._spare = spare
        self._waiting: asyncio.Queue[list[Array]] = asyncio.Queue(_WAITING)
        self.dropped = 0
        """Calls that were not compared."""
        self.seen = Agreement()

    def offer(self, inputs: Sequence[Array]) -> None:
        """Takes a copy if there is room."""
        if self._waiting.full():
            self.dropped += 1
            return
        rows = _MOST_ROWS if self._reference.batched and self._candidate.batched else None
        self._waiting.put_nowait([values[:rows].copy() for values in inputs])

    async def run(self, most: int) -> None:
        """Until so many calls are compared; the log has how many were, and how many were not."""
        try:
            while self.seen.calls < most:
                await self._next()
        finally:
            log.info("compared", extra={"calls": self.seen.calls, "not_compared": self.dropped})

    async def _next(self) -> None:
        inputs = await self._waiting.get()
        if not await self._gap():
            self.dropped += 1
            return
        began = time.perf_counter()
        self.seen = await self._spare.run(lambda: self._compared(inputs))
        await asyncio.sleep(time.perf_counter() - began)

    async def _gap(self) -> bool:
        """Whether the model's worker has nothing to do, now or soon."""
        deadline = time.monotonic() + _IDLE_WITHIN
        while not self._batcher.idle:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_LOOK_AGAIN)
        return True

    def _compared(self, inputs: list[Array]) -> Agreement:
        seen = self.seen
        reference, reference_seconds = _timed(self._reference, inputs)
        if reference is None:
            return seen
        candidate, seconds = _timed(self._candidate, inputs)
        seen = replace(
            seen,
            calls=seen.calls + 1,
            rows=seen.rows + len(inputs[0]),
            seconds=seen.seconds + seconds,
            reference_seconds=seen.reference_seconds + reference_seconds,
        )
        if candidate is None:
            return replace(seen, failed=seen.failed + 1)
        classes = bool(self._reference.manifest.labels)
        return replace(seen, agreeing=seen.agreeing + agreeing_rows(candidate[0], reference[0], classes=classes))


class Copies:
    """A listener of the engine: gives each comparison under way the calls of its model."""

    def __init__(self) -> None:
        self._takers: dict[str, list[Comparison]] = {}

    @contextlib.contextmanager
    def given_to(self, comparison: Comparison, model: str) -> Generator[None]:
        takers = self._takers.setdefault(model, [])
        takers.append(comparison)
        try:
            yield
        finally:
            takers.remove(comparison)
            if not takers:
                self._takers.pop(model, None)

    def answered(self, call: Call) -> None:
        if self._takers:
            for comparison in self._takers.get(call.target.model.name, ()):
                comparison.offer(call.inputs)

    def refused(self, model: str, version: Version | None, refusal: Refusal, seconds: float) -> None:
        """There is nothing to compare with."""


def comparable(one: Version, other: Version) -> bool:
    """Whether both are loaded and take the same inputs."""
    if one.loaded is None or other.loaded is None:
        return False
    return one.manifest.inputs == other.manifest.inputs and len(one.manifest.outputs) == len(other.manifest.outputs)


def agreeing_rows(one: Array, other: Array, *, classes: bool) -> int:
    """How many rows are answered alike: with the same class, or with numbers that are about the same."""
    if one.shape != other.shape:
        return 0
    if classes and one.ndim == 2:
        return int((one.argmax(axis=1) == other.argmax(axis=1)).sum())
    alike = np.isclose(one.astype("f8"), other.astype("f8"), rtol=_SAME, atol=1e-3, equal_nan=True)
    return int(alike.reshape(len(one), -1).all(axis=1).sum())


def _timed(predictor: Predictor, inputs: list[Array]) -> tuple[list[Array] | None, float]:
    """The outputs, None when it has none for these inputs, and the seconds of CPU that they took."""
    before = time.thread_time()
    try:
        outputs = predictor.run(inputs)
    except Rejected:
        outputs = None
    return outputs, time.thread_time() - before


def _give_way() -> None:
    if sys.platform == "linux":  # elsewhere a thread's number may be another process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
