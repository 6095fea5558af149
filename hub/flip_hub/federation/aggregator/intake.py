"""Which replies a strategy is given, and why it is not given the others: one device never ends a round for all.

Refused is what no aggregate can use: numbers that are not finite, tensors of another form than most devices sent,
a weight that cannot be, metrics that are named otherwise than most or are no number where others' are, and what lacks
that without which the strategy ends the run (`demands`). A strategy sees a refused reply as a device that failed. What
was sent to the devices has a vote, too; where more of them agree on another form, the app has its reasons.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Error, Message
from flwr.app.message import make_message
from flwr.common.constant import ErrorCode
from numpy.typing import NDArray

from flip_hub.federation.aggregator.demands import Demands
from flip_hub.federation.aggregator.instructions import phase_of
from flip_hub.federation.aggregator.strategies.refusals import unusable
from flip_hub.federation.aggregator.strategies.tensors import mean_dtype, views
from flip_hub.federation.schemas import Phase
from flip_runtime.errors import Rejected

Form = tuple[tuple[str, str, tuple[int, ...]], ...]
"""Name, dtype and shape of each array."""


class Intake:
    def __init__(self, demands: Demands = Demands()) -> None:  # noqa: B008  frozen
        self.demands = demands
        """Of the strategy that is running."""
        self._faults: dict[str, str] = {}
        """Of replies that `refusals` has not been asked about yet."""

    def usable(self, replies: Sequence[Message]) -> int:
        """How many have no fault of their own, whatever the others are like; each is looked at once."""
        return sum(reply.has_content() and not self._fault(reply) for reply in replies)

    def refusals(self, replies: Sequence[Message], base: ArrayRecord | None) -> dict[str, str]:
        """Why, in words for people, by the id of the instruction; `base` are the arrays that were sent."""
        refused: dict[str, str] = {}
        sound = [reply for reply in replies if reply.has_content()]
        for reply in sound:
            if reason := self._fault(reply):
                refused[reply.metadata.reply_to_message_id] = reason
        self._faults = {}
        for of_them in (self._lacking, odd_numbers):
            sound = [reply for reply in sound if reply.metadata.reply_to_message_id not in refused]
            refused |= of_them(sound)
        trained = phase_of(sound) == Phase.TRAIN  # an evaluation is answered without arrays
        sent = _as_answered(form(base), map(_arrays_of, sound)) if base is not None and trained else None
        for form_of, kind, like in (
            (_arrays_of, "", sent),
            (_records_of, "the record ", None),
            (_metrics_of, "the metric ", None),
        ):
            sound = [reply for reply in sound if reply.metadata.reply_to_message_id not in refused]
            refused |= _odd_ones(sound, form_of, kind, like)
        return refused

    def _fault(self, reply: Message) -> str:
        key = reply.metadata.reply_to_message_id
        if key not in self._faults:
            self._faults[key] = _unreadable(reply) or self.demands.wrong(reply)
        return self._faults[key]

    def _lacking(self, replies: Sequence[Message]) -> Mapping[str, str]:
        """None where all of several are so: it is the app that is wrong, and its strategy says so at once."""
        found = {
            reply.metadata.reply_to_message_id: reason for reply in replies if (reason := self.demands.lacking(reply))
        }
        return {} if 1 < len(found) == len(replies) else found


def as_error(reply: Message, reason: str) -> Message:
    """The reply itself without a reason, else one that says in its place that the device failed."""
    if not reason:
        return reply
    error = Error(code=ErrorCode.MOD_FAILED_PRECONDITION, reason=f"refused by the hub: {reason}")
    return make_message(metadata=reply.metadata, error=error)


def form(record: ArrayRecord) -> Form:
    return tuple(sorted((name, _dtype(array), _shape(array)) for name, array in record.items()))


def _dtype(array: Array) -> str:
    """That its mean has: counters of a device are whole numbers, their mean is not."""
    try:
        return str(mean_dtype(np.dtype(array.dtype)))
    except TypeError:
        return array.dtype


def _shape(array: Array) -> tuple[int, ...]:
    """Bytes may have any length: trees, or what a strategy of the app's own unpacks."""
    return (-1,) if array.dtype == "uint8" and len(array.shape) == 1 else tuple(array.shape)


def _unreadable(reply: Message) -> str:
    for record in reply.content.array_records.values():
        for name, array in record.items():
            try:
                values = _values(array)
            except (ValueError, TypeError, OSError, EOFError) as error:
                return f"{name[:80]} cannot be read: {str(error)[:100]}"
            if (str(values.dtype), values.shape) != (array.dtype, tuple(array.shape)):
                return f"{name[:80]} is not what it says: {values.dtype} {list(values.shape)}"
            if values.dtype.kind in "fc" and (why := unusable(values)):
                return f"{name[:80]} {why}"
            del values  # before the next is read
    return ""


def _values(array: Array) -> NDArray[Any]:
    """Without a copy, where it is of numbers."""
    try:
        return next(views([("", array)]))[1]
    except Rejected:
        return array.numpy()


def _as_answered(sent: Form, answered: Iterable[Form]) -> Form:
    """What was sent, as devices answer it whose model is of 32 bits where a strategy (FedAdam) made it one of 64."""
    narrow = tuple((name, "float32" if dtype == "float64" else dtype, shape) for name, dtype, shape in sent)
    found = set(answered)
    return narrow if narrow in found and sent not in found else sent


def _arrays_of(reply: Message) -> Form:
    return tuple(each for record in reply.content.array_records.values() for each in form(record))


def _records_of(reply: Message) -> tuple[tuple[str], ...]:
    """Their names, by which strategies look for them."""
    return tuple(sorted((name,) for name in (*reply.content.array_records, *reply.content.metric_records)))


def _metrics_of(reply: Message) -> tuple[tuple[str, int], ...]:
    """Names, and the length of those that are lists: what differs between devices cannot be averaged."""
    return tuple(sorted((name, len(value) if isinstance(value, list) else -1) for name, value in _metrics(reply)))


def _metrics(reply: Message) -> Iterator[tuple[str, Any]]:
    return (each for record in reply.content.metric_records.values() for each in record.items())


def odd_numbers(replies: Sequence[Message]) -> Mapping[str, str]:
    """A metric that is not finite where others' is would make their mean no number."""
    finite_somewhere = {name for reply in replies for name, value in _metrics(reply) if _is_finite(value)}
    found: dict[str, str] = {}
    for reply in replies:
        names = [name for name, value in _metrics(reply) if not _is_finite(value) and name in finite_somewhere]
        if names:
            found[reply.metadata.reply_to_message_id] = f"its metric {names[0][:80]!r} is not finite"
    return found


def _is_finite(value: Any) -> bool:
    return all(map(math.isfinite, value if isinstance(value, list) else [value]))


def _odd_ones(
    replies: Sequence[Message], form_of: Callable[[Message], Hashable], kind: str, like: Hashable | None
) -> Mapping[str, str]:
    forms = Counter(form_of(reply) for reply in replies)
    if forms and like is not None:
        forms[like] += 1
    if len(forms) < 2:
        return {}
    usual = max(forms, key=lambda each: (forms[each], each == like, str(each)))
    return {
        reply.metadata.reply_to_message_id: _difference(reply, found, usual, kind)
        for reply in replies
        if (found := form_of(reply)) != usual
    }


def _difference(reply: Message, found: Hashable, usual: Hashable, kind: str) -> str:
    """Between the reply's form and another, by the first thing that differs."""
    ours, others = set(_parts(usual)), set(_parts(found))
    names = {part[0] for part in ours}
    if strange := sorted(str(part[0]) for part in others if part[0] not in names):
        return f"it has {kind}{strange[0][:80]!r}, which the others do not have"
    if lacking := sorted(str(name) for name in names - {part[0] for part in others}):
        return f"it lacks {kind}{lacking[0][:80]!r}, which the others have"
    changed = sorted(others - ours, key=str)[0]
    expected = next(part for part in ours if part[0] == changed[0])
    sent = "".join(f", sent as {dtype}" for dtype in _sent_as(reply, str(changed[0])) if dtype not in changed)
    return f"{kind}{str(changed[0])[:80]} is {_shown(changed)}{sent}, the others' is {_shown(expected)}"


def _parts(form: Hashable) -> Iterable[tuple[object, ...]]:
    return form if isinstance(form, tuple) else ()


def _sent_as(reply: Message, name: str) -> Iterable[str]:
    """The array's own type: a form has that of its mean."""
    return (record[name].dtype for record in reply.content.array_records.values() if name in record)


def _shown(part: tuple[object, ...]) -> str:
    if len(part) == 3:
        return f"{part[1]} {list(part[2]) if isinstance(part[2], tuple) else part[2]}"
    return "a number" if part[1] == -1 else f"a list of {part[1]}"
