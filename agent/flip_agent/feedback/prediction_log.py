"""Answers that are kept for feedback: at most so many a second, copied on the way out and written by the store later.

When there are more, those with an id take the place of those without: only they can be given feedback.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from flip_agent.feedback.accounts import Lost
from flip_agent.feedback.form import Array
from flip_agent.inference.engine.engine import Call
from flip_agent.inference.engine.served_model import Version
from flip_agent.inference.problems import Refusal
from flip_agent.settings import SamplesSection

MOST_ROWS = 64
"""Of one prediction that is kept."""
_LONGEST_ID = 128
_PENDING = 8 * 2**20
"""Bytes that may wait to be written."""


@dataclass(frozen=True, slots=True)
class Prediction:
    version: Version
    id: str
    at: float
    output: Array
    inputs: list[Array] | None
    """In the order of the manifest's."""
    size: int
    """Bytes."""


class PredictionLog:
    """A listener of the engine."""

    def __init__(
        self, settings: SamplesSection, pending: Callable[[], None], clock: Callable[[], float] = time.time
    ) -> None:
        """`pending` is called when the first one waits to be taken."""
        self._most = settings.predictions
        self._log_inputs = settings.log_inputs
        self._tell = pending
        self._clock = clock
        self._named: list[Prediction] = []
        self._anonymous: list[Prediction] = []
        self._size = 0
        self._second = 0
        self._kept = 0
        """In this second."""
        self._over_rate = self._too_large = 0

    def answered(self, call: Call) -> None:
        now = self._clock()
        if int(now) != self._second:
            self._second, self._kept = int(now), 0
        if self._kept >= self._most and not (call.id and self._give_way()):
            self._over_rate += 1
        elif (prediction := self._copied(call, now)) is None:
            self._too_large += 1
        else:
            if not self._size:
                self._tell()
            (self._named if call.id else self._anonymous).append(prediction)
            self._size += prediction.size
            self._kept += 1

    def refused(self, model: str, version: Version | None, refusal: Refusal, seconds: float) -> None:
        pass

    def take(self) -> tuple[list[Prediction], Lost]:
        """What waited, and what was not kept, since the last call."""
        taken = [*self._anonymous, *self._named]
        lost = Lost(over_rate=self._over_rate, too_large=self._too_large)
        self._named, self._anonymous = [], []
        self._size = self._over_rate = self._too_large = 0
        return taken, lost

    def _give_way(self) -> bool:
        """Whether one without an id did so."""
        if not self._anonymous:
            return False
        self._size -= self._anonymous.pop().size
        self._kept -= 1
        self._over_rate += 1
        return True

    def _copied(self, call: Call, now: float) -> Prediction | None:
        output, inputs = call.outputs[0], call.inputs if self._log_inputs else ()
        size = output.nbytes + sum(values.nbytes for values in inputs)
        if output.shape[0] > MOST_ROWS or len(call.id) > _LONGEST_ID or self._size + size > _PENDING:
            return None
        kept = [values.copy() for values in inputs] if self._log_inputs else None
        return Prediction(call.target.version.asleep, call.id, now, output.copy(), kept, max(1, size))
