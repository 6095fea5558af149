"""Replies to training of earlier rounds that still come: each joins the round in which it comes, made to fit its model.

What it changed in the model that it began with is put on top of the current one, and its weight is discounted by how
late it is (`strategies.folding`). So any synchronous strategy takes it as an ordinary reply. One that is too late for
that is missed, as without folding: its device gives it to the hub as a late contribution.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord
from numpy.typing import NDArray

from flip_hub.federation.aggregator.instructions import Sent
from flip_hub.federation.aggregator.statements import EXAMPLES
from flip_hub.federation.aggregator.strategies.folding import discount, folded
from flip_hub.federation.aggregator.strategies.tensors import mean_dtype, read, said, written
from flip_hub.federation.plan import Folding
from flip_runtime.errors import Rejected


class Latecomers:
    def __init__(self, folding: Folding | None) -> None:
        """None: nobody is waited for longer than their round."""
        self._folding = folding
        self._awaited: dict[str, Sent] = {}
        self._here: dict[str, Sent] = {}
        """Whose answer has come, and is in no round yet."""

    @property
    def any(self) -> bool:
        return bool(self._awaited)

    def keep(self, sent: Mapping[str, Sent]) -> set[str]:
        """Those of these messages that are waited for beyond their round."""
        if self._folding is None:
            return set()
        awaited = {key: each for key, each in sent.items() if each.unpacking is not None and each.unpacking.arrays}
        self._awaited |= awaited
        return set(awaited)

    def expired(self, number: int) -> set[str]:
        """Messages whose replies are too late from that round on; they are forgotten."""
        if self._folding is None:
            return set()
        late = {key for key, sent in self._awaited.items() if number - sent.round > self._folding.rounds}
        self._awaited = {key: sent for key, sent in self._awaited.items() if key not in late}
        return late

    def due(self, online: Iterable[int]) -> set[str]:
        """Messages that may have been answered. For a node that is away the SuperLink would make up an answer, and drop
        the real one."""
        present = {str(node) for node in online}
        return {key for key, sent in self._awaited.items() if sent.node in present}

    @property
    def rounds(self) -> int:
        """That a reply may be late at most; 0: none is folded."""
        return 0 if self._folding is None else self._folding.rounds

    def kept(self, reply: Message, sent: Sent) -> Message:
        """The same: one to an instruction of a ServerApp before this one; `fold` or `forget` follows."""
        self._here[reply.metadata.reply_to_message_id] = sent
        return reply

    def came(self, reply: Message) -> None:
        """Nobody looks for it any more; `fold` or `forget` follows."""
        answered = reply.metadata.reply_to_message_id
        self._here[answered] = self._awaited.pop(answered)

    def forget(self, reply: Message) -> None:
        self._here.pop(reply.metadata.reply_to_message_id)

    def fold(self, reply: Message, current: ArrayRecord, number: int, weighed_by: str = EXAMPLES) -> Message:
        """The same reply for the model of that round, with less of the metric that the strategy weighs by. Raises
        `Rejected` when it does not fit."""
        sent = self._here.pop(reply.metadata.reply_to_message_id)
        assert self._folding is not None
        assert sent.unpacking is not None
        staleness, exponent = number - sent.round, self._folding.exponent
        bases = sent.unpacking.arrays
        for record in reply.content.array_records.values():
            if set(record) != set(current):
                raise Rejected("it has other arrays than the model")
            for key, array in list(record.items()):  # one at a time in memory
                update, base, model = (read({key: each}) for each in (array, bases[key], current[key]))
                _check(key, update[key], base[key], model[key])
                record[key] = written(folded(update, base, model, staleness, exponent).arrays)[key]
        for metrics in reply.content.metric_records.values():
            _discount(metrics, weighed_by, discount(staleness, exponent))
        return reply


def _check(name: str, update: NDArray[Any], base: NDArray[Any], model: NDArray[Any]) -> None:
    """Raises `Rejected` for what is no change of the base, or none that the model can take."""
    if not update.shape == base.shape == model.shape:
        raise Rejected(f"{name} has the shape {said(update.shape)}, not {said(model.shape)}")
    if not np.can_cast(update.dtype, mean_dtype(model.dtype), "same_kind"):
        raise Rejected(f"{name} is {update.dtype}, not {model.dtype}")


def _discount(metrics: MetricRecord, weighed_by: str, by: float) -> None:
    samples = metrics.get(weighed_by)
    if isinstance(samples, int | float):
        metrics[weighed_by] = float(samples * by)
