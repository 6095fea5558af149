"""What programs of this device say is kept when their call returns; answers are kept within about a second.

All that waits at the same time shares one commit. A damaged file is moved aside and counted, and a new one is begun; on
a disk that is full or fails calls are refused, and serving goes on.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from flip_agent.feedback.accounts import Lost
from flip_agent.feedback.change import Bulk, Change
from flip_agent.feedback.judgement import Judged, Labelled
from flip_agent.feedback.messages import Feedback, FeedbackKept, SamplesKept, SamplesPage, SamplesStatus
from flip_agent.feedback.page import Asked, labelled, nothing_labelled, page
from flip_agent.feedback.prediction_log import PredictionLog
from flip_agent.feedback.refusals import NoRoom, TooBusy, refusal_of
from flip_agent.feedback.sample_file import SampleFile
from flip_agent.feedback.sample_keeper import TRIM_EVERY, Committed, SampleKeeper, Wanted
from flip_agent.inference.problems import Refusal
from flip_agent.settings import SamplesSection
from flip_runtime.errors import Unavailable

T = TypeVar("T")

_PREDICTIONS_WITHIN = 1.0
"""Seconds until they are on the disk."""
_WAITING = 32 * 2**20
"""Bytes that may wait for the next commit; one call more is refused."""
_BULK_SHARE = 4
"""Part of the file that one call may fill."""


class SampleStore:
    """`run` is the committer, a service: calls wait for it. Used on the event loop."""

    def __init__(
        self,
        path: Path,
        settings: SamplesSection,
        judged: Sequence[Judged] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._max_bytes = settings.max_bytes
        self._judged = judged
        self._keeper = SampleKeeper(path, settings, clock)
        self._thread = ThreadPoolExecutor(1, "samples")
        self._waiting: deque[tuple[Wanted, asyncio.Future[Any]]] = deque()
        self._came = asyncio.Event()
        self.predictions = PredictionLog(settings, self._soon, clock)
        """To be a listener of the engine."""

    # ---- keeping ----

    async def give_feedback(self, given: Sequence[Feedback]) -> FeedbackKept:
        """Raises `Refusal`."""
        return await self._keep(sum(len(each.id) for each in given), lambda change: change.judge(given))

    async def add(self, bulk: Bulk) -> SamplesKept:
        """Raises `Refusal`."""
        if bulk.size > self._max_bytes // _BULK_SHARE:
            raise NoRoom("these samples would take more than a quarter of samples.max_bytes", hint="send fewer at once")
        return await self._keep(bulk.size, lambda change: change.add(bulk))

    async def run(self) -> None:
        await self._commit()  # opens the file, and lets go what is too old
        while True:
            try:
                async with asyncio.timeout(TRIM_EVERY):
                    await self._came.wait()
            except TimeoutError:
                pass
            self._came.clear()
            await self._commit()

    async def close(self) -> None:
        """Keeps the predictions that wait."""
        await self._commit()
        await self._in_thread(self._keeper.close)
        self._thread.shutdown()

    async def _keep(self, size: int, apply: Callable[[Change], T]) -> T:
        if self._waiting and sum(wanted.size for wanted, _ in self._waiting) + size > _WAITING:
            raise TooBusy("other samples wait to be written", hint="try again in a moment")
        kept: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((Wanted(size, apply), kept))
        self._came.set()
        return await kept

    async def _commit(self) -> None:
        waiting = list(self._waiting)
        self._waiting.clear()
        predictions, lost = self.predictions.take()
        stopped = refusal_of(Unavailable("the store stopped"))
        done = Committed([stopped] * len(waiting), [])
        try:
            done = await self._in_thread(self._keeper.commit, [wanted for wanted, _ in waiting], predictions, lost)
        finally:
            for (_, kept), outcome in zip(waiting, done.outcomes, strict=True):
                _settle(kept, outcome)
        for one in done.judged:
            for judged in self._judged:
                judged(one.model, one.version, one.correct)

    def _soon(self) -> None:
        asyncio.get_running_loop().call_later(_PREDICTIONS_WITHIN, self._came.set)

    # ---- reading ----

    @property
    def lost(self) -> Lost:
        """What could not be kept, or was let go."""
        return self._keeper.lost

    async def status(self) -> SamplesStatus:
        """Raises `Refusal`."""
        status = await self._read(SampleFile.status)
        return replace(status, lost=self.lost)  # some of it may not be on the disk yet

    async def page(self, asked: Asked) -> SamplesPage:
        """Raises `Refusal`."""
        return await self._read(lambda file: page(file, asked))

    async def recent_outcomes(self, model: str, version: int, limit: int) -> list[bool]:
        """Whether that version was right, by feedback that is on the disk; oldest first, the newest `limit`. None while
        the file cannot be read."""
        try:
            return await self._read(lambda file: file.outcomes(model, version, limit))
        except Refusal:
            return []

    async def labelled(self, model: str, limit: int) -> Labelled:
        """The newest `limit` samples with a class; none while the file cannot be read."""
        try:
            return await self._read(lambda file: labelled(file, model, limit))
        except Refusal:
            return nothing_labelled()

    async def _read(self, reading: Callable[[SampleFile], T]) -> T:
        try:
            return await self._in_thread(lambda: self._keeper.read(reading))
        except Unavailable as error:
            raise refusal_of(error) from error

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


def _settle(kept: asyncio.Future[Any], outcome: Any) -> None:
    if kept.done():
        return
    if isinstance(outcome, Exception):
        kept.set_exception(outcome)
    else:
        kept.set_result(outcome)
