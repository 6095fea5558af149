"""What a private mean may be made of: updates that fit the model they began with, each of the same weight."""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.supercore.differential_privacy import KEY_NORM_BIT
from numpy.typing import NDArray

from flip_hub.federation.aggregator.strategies.refusals import refusal
from flip_hub.federation.aggregator.strategies.tensors import read
from flip_runtime.errors import Rejected

_NOISY = ("float32", "float64")
"""Types in which Gaussian noise is still Gaussian: whole numbers would cut it off, 16 bits round it."""
_CLOSE = 1e-3
"""By which share of the clipping norm an update may be too long that a device has cut, for rounding."""
_FARTHEST = 1e18
"""Of an update's length: Flower squares it in 32 bits."""
_METRICS = "metrics"
ARRAYS = "arrays"

Base = Mapping[str, NDArray[Any]]


def need_floats(arrays: Mapping[str, Array]) -> None:
    """Raises `Rejected` that names the array to which no noise can be added."""
    for name, array in arrays.items():
        if array.dtype not in _NOISY:
            raise Rejected(
                f"{name} is {array.dtype}: noise hides a device only in float32 and float64",
                hint="leave it out of what is sent: plan.local names arrays that stay on each device",
            )


def length(reply: Message, base: Base, kept: Collection[str] = ()) -> float:
    """Euclidean, of the whole update, `kept` aside. Raises `Rejected` with the reason when it is none of that model."""
    if len(reply.content.array_records) != 1:
        raise Rejected(f"it has {len(reply.content.array_records)} array records, not one")
    record = next(iter(reply.content.array_records.values()))
    arrays = read({name: array for name, array in record.items() if name not in kept})
    if why := refusal(arrays, base):
        raise Rejected(why)
    found = math.sqrt(math.fsum(_square(arrays[name], base[name]) for name in base))
    if found > _FARTHEST:
        raise Rejected(f"it is {found:.4g} away from the model")
    return found


def need_clipped(length: float, clipping_norm: float, base: Base) -> None:
    """Raises `Rejected` for an update that its device should have cut, and has not."""
    rounding = 1e-6 * math.sqrt(math.fsum(_square(each, np.zeros_like(each)) for each in base.values()))
    if length > clipping_norm * (1 + _CLOSE) + rounding:
        raise Rejected(f"its update has the length {length:.4g}, and was to be clipped to {clipping_norm:.4g}")


def need_bit(reply: Message) -> None:
    """Raises `Rejected` for a reply that does not say whether it was clipped."""
    metrics = list(reply.content.metric_records.values())
    if len(metrics) != 1 or metrics[0].get(KEY_NORM_BIT) not in (0, 1):
        raise Rejected(f"its metrics have no {KEY_NORM_BIT} of 0 or 1")


def level(reply: Message, names: Iterable[str], weighted_by: str) -> None:
    """Leaves of the reply those of its arrays, in that order, a weight of one, and whether it was clipped."""
    metrics = {weighted_by: 1.0}
    for record in reply.content.metric_records.values():
        if KEY_NORM_BIT in record:
            metrics[KEY_NORM_BIT] = int(bool(record[KEY_NORM_BIT]))
    arrays = next(iter(reply.content.array_records.values()))
    _replace(reply, ArrayRecord({name: arrays[name] for name in names if name in arrays}), metrics)


def as_reply(arrays: Mapping[str, Array], weighted_by: str) -> Message:
    """A mean as the only reply of a round, which a strategy then finds to be the mean."""
    content = RecordDict({ARRAYS: ArrayRecord(dict(arrays)), _METRICS: MetricRecord({weighted_by: 1.0})})
    return Message(content, dst_node_id=0, message_type="train")


def shown_metrics(replies: list[Message], weighted_by: str) -> list[RecordDict]:
    """What devices say of their training, each with the weight one."""
    return [
        RecordDict({_METRICS: MetricRecord({**_without_bit(record), weighted_by: 1.0})})
        for reply in replies
        for record in reply.content.metric_records.values()
    ]


def _without_bit(record: MetricRecord) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != KEY_NORM_BIT}


def _replace(reply: Message, arrays: ArrayRecord, metrics: dict[str, Any]) -> None:
    reply.content.clear()
    reply.content[ARRAYS] = arrays
    reply.content[_METRICS] = MetricRecord(metrics)


def _square(array: NDArray[Any], base: NDArray[Any]) -> float:
    difference = np.subtract(array, base, dtype=np.float64).reshape(-1)
    return float(np.vdot(difference, difference))
