"""One step of buffered asynchronous aggregation (FedBuff; Nguyen et al., arXiv:2106.06639), over updates whose bases
may differ:

    x' = x + lr * sum_i w_i (x_i - b_i),    w_i = n_i / sum_j n_j * (1 + s_i)^-a

where b_i is the model that the update x_i began with, s_i how many steps ago that was, n_i its samples. As the paper
divides by K, so here by all samples: staleness makes a step smaller, not the fresh updates larger. When no update is
stale and lr is 1, x' is the weighted mean of the updates, and is computed as Flower's FedAvg computes it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Message
from msgspec import Struct
from numpy.typing import NDArray

from flip_hub.federation.aggregator.strategies.bases import Bases
from flip_hub.federation.aggregator.strategies.folding import discount
from flip_hub.federation.aggregator.strategies.tensors import read, views, written
from flip_hub.federation.aggregator.strategies.weighted_mean import WeightedMean, factors


class Update(Struct, frozen=True, kw_only=True):
    """A reply to `train` that was found to be sound."""

    message_id: str
    """Of the instruction."""
    node: int
    version: int
    """Of the model that it began with."""
    samples: float
    reply: Message


class Weighing(Struct, frozen=True, kw_only=True):
    version: int
    """Of the current model."""
    exponent: float
    learning_rate: float

    def weights(self, updates: Sequence[Update]) -> list[float]:
        shares = factors(update.samples for update in updates)
        return [
            share * discount(self.version - update.version, self.exponent)
            for share, update in zip(shares, updates, strict=True)
        ]


def buffered_step(current: ArrayRecord, updates: list[Update], weighing: Weighing, bases: Bases) -> ArrayRecord:
    """Takes the updates out of the list as it goes, in their order. Beside the current model there are a sum and one
    array of an update or a base in memory, where the Grid and `bases` read them only now.

    Raises `Corrupt` when a base cannot be read.
    """
    weights = weighing.weights(updates)
    plain = weighing.learning_rate == 1.0 and all(update.version == weighing.version for update in updates)
    mean, of_bases = WeightedMean(), dict[int, float]()
    for weight in weights:
        update = updates.pop(0)
        mean.add(views(_arrays_of(update.reply).items()), weight)
        of_bases[update.version] = of_bases.get(update.version, 0.0) + weight
        del update
    if plain:
        return written(mean.result())
    for version, weight in of_bases.items():
        mean.add(views(current.items() if version == weighing.version else bases.arrays(version)), -weight)
    return written(_moved(read(current), mean.result(), weighing.learning_rate))


def _moved(
    current: dict[str, NDArray[Any]], changes: dict[str, NDArray[Any]], learning_rate: float
) -> dict[str, NDArray[Any]]:
    for name, change in changes.items():
        np.multiply(change, learning_rate, out=change)
        np.add(current[name], change, out=change)
    return changes


def _arrays_of(reply: Message) -> ArrayRecord:
    return next(iter(reply.content.array_records.values()))
