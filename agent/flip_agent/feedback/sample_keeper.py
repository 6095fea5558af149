"""The store's side in its thread: opens the file, commits what came together, begins anew when the file is damaged.

A change that cannot be kept is refused alone: it takes none of the others with it.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from flip_agent.durable_file import move_aside
from flip_agent.feedback.accounts import Accounts, Lost
from flip_agent.feedback.change import Change, Judgement
from flip_agent.feedback.prediction_log import Prediction
from flip_agent.feedback.refusals import refusal_of
from flip_agent.feedback.sample_file import SampleFile
from flip_agent.inference.problems import Refusal
from flip_agent.settings import SamplesSection
from flip_agent.sqlite_errors import Full
from flip_runtime.errors import Corrupt, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

TRIM_EVERY = 600.0
"""Seconds between two looks for what is too old."""


class Wanted(Struct, frozen=True):
    """A change that somebody waits for."""

    size: int
    """Bytes that it adds, about."""
    apply: Callable[[Change], Any]
    """Raises `Refusal` before it has written anything."""


class Committed(Struct, frozen=True):
    outcomes: list[Any]
    """Of each change what it gave, or the `Refusal`."""
    judged: list[Judgement]


class SampleKeeper:
    def __init__(self, path: Path, settings: SamplesSection, clock: Callable[[], float]) -> None:
        self._path = path
        self._settings = settings
        self._clock = clock
        self._file: SampleFile | None = None
        self._heritage: Accounts | None = None
        """Of a damaged file, until another one has taken its place."""
        self._lost = Lost()
        """Not on the disk yet."""
        self._trim_at = 0.0
        self._ailing = ""

    @property
    def lost(self) -> Lost:
        """All of it, also what is not on the disk yet."""
        known = self._heritage or (self._file.accounts if self._file is not None else Accounts())
        return known.lost + self._lost

    def commit(self, wanted: Sequence[Wanted], predictions: Sequence[Prediction], lost: Lost) -> Committed:
        """Predictions are kept first: feedback may be of them."""
        self._lost += lost
        try:
            done = self._again_if_damaged(lambda: self._together(wanted, predictions))
            self._well()
            return done
        except Unavailable as error:
            self._ail(error)
            self._lost += Lost(not_written=len(predictions))
            if not isinstance(error, Full) or self._file is None:
                return Committed([refusal_of(error)] * len(wanted), [])
        alone = [self._alone(each) for each in wanted]
        return Committed([each.outcomes[0] for each in alone], [one for each in alone for one in each.judged])

    def read(self, reading: Callable[[SampleFile], T]) -> T:
        """Raises `Unavailable`."""
        return self._again_if_damaged(lambda: reading(self._open()))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _together(self, wanted: Sequence[Wanted], predictions: Sequence[Prediction]) -> Committed:
        file = self._open()
        if self._clock() >= self._trim_at:
            file.drop_expired()
            self._trim_at = self._clock() + TRIM_EVERY
        if not wanted and not predictions and self._lost == Lost():
            return Committed([], [])
        size = sum(each.size for each in wanted) + sum(each.size for each in predictions)
        with file.change(size) as change:
            change.keep_predictions(predictions)
            outcomes = [_outcome(each, change) for each in wanted]
            change.accounts = replace(change.accounts, lost=change.accounts.lost + self._lost)
        self._lost = Lost()
        return Committed(outcomes, change.judged)

    def _alone(self, wanted: Wanted) -> Committed:
        try:
            return self._again_if_damaged(lambda: self._together([wanted], []))
        except Unavailable as error:
            return Committed([refusal_of(error)], [])

    # ---- the file ----

    def _open(self) -> SampleFile:
        if self._file is None:
            limits = self._settings
            self._file = SampleFile(self._path, limits.max_bytes, limits.max_age, self._clock, self._heritage)
            self._heritage = None
        return self._file

    def _again_if_damaged(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except Corrupt as error:
            self._begin_anew(error)
        try:
            return work()
        except Corrupt as error:
            raise Unavailable(str(error)) from error

    def _begin_anew(self, error: Corrupt) -> None:
        known = self._heritage or (self._file.accounts if self._file is not None else Accounts())
        self.close()
        aside = move_aside(self._path)
        self._heritage = known.after_damage()
        log.error("samples were damaged, they are lost", extra={"moved_to": str(aside), "reason": str(error)})

    def _ail(self, error: Unavailable) -> None:
        if self._ailing != str(error):
            log.warning("samples cannot be kept", extra={"reason": str(error)})
        self._ailing = str(error)

    def _well(self) -> None:
        if self._ailing:
            log.info("samples are kept again")
        self._ailing = ""


def _outcome(wanted: Wanted, change: Change) -> Any:
    try:
        return wanted.apply(change)
    except Refusal as refusal:
        return refusal
