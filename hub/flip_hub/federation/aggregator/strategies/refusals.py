"""What a device may not send: pure functions that say so in words for people, and nothing when all is well.

One update that holds a NaN makes the whole model NaN, and one that claims a billion samples is the model; so each is
looked at before it is added to anything.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
from flwr.app import Message
from numpy.typing import NDArray

from flip_hub.federation.aggregator.strategies.tensors import Arrays, mean_dtype, said, views
from flip_runtime.errors import Rejected

MOST_SAMPLES = 1e8
_PIECE = 131_072
"""Entries that are looked at while they are in the processor's cache."""

_MOST_FLOAT64 = 1e150
_MOST = {np.dtype("f4"): 1e16, np.dtype("c8"): 1e16}
"""By type, the magnitude of a value: the sum of the squares of 10,000 such has room in it."""

MetricKeys = frozenset[tuple[str, int]]
"""Names of metrics, with the length of those that are lists and -1 for numbers."""


def refusal(arrays: Arrays, like: Arrays) -> str:
    """Why these arrays cannot take the place of `like`; empty when they can.

    A type may differ where the mean's does not: the mean of whole numbers is float64, so from the second round on a
    device answers float64 with int64.
    """
    return _refused_names(arrays.keys(), like.keys()) or _refused_arrays(arrays.items(), like)


def refused_samples(samples: object, most: float = MOST_SAMPLES) -> str:
    """Of the number that an update is weighed by."""
    if isinstance(samples, bool) or not isinstance(samples, int | float):
        return "it does not say on how many samples it stands" if samples is None else "its samples are no number"
    if math.isnan(samples) or samples <= 0:
        return f"it stands on {samples:g} samples"
    if samples > most:
        return f"it claims {samples:g} samples, more than {most:g}"
    return ""


def refused_update(reply: Message, like: Arrays, weighted_by_key: str, metrics: MetricKeys | None = None) -> str:
    """Of a whole reply to `train`; `metrics` are what others sent (`usual_metrics`), None before there are any."""
    content = reply.content
    if len(content.array_records) != 1:
        return f"it has {len(content.array_records)} array records, not one"
    if len(content.metric_records) != 1:
        return f"it has {len(content.metric_records)} metric records, not one"
    of_it = next(iter(content.metric_records.values()))
    if why := refused_samples(of_it.get(weighted_by_key)):
        return why
    if metrics is not None and (why := refused_metrics(metric_keys(of_it), metrics)):
        return why
    arrays = next(iter(content.array_records.values()))
    try:
        return _refused_names(arrays.keys(), like.keys()) or _refused_arrays(views(arrays.items()), like)
    except Rejected as error:
        return error.args[0]


def metric_keys(metrics: Mapping[str, Any]) -> MetricKeys:
    return frozenset((name, len(value) if isinstance(value, list) else -1) for name, value in metrics.items())


def usual_metrics(of_each: Sequence[MetricKeys]) -> MetricKeys:
    """Those of most devices, and of the first of them when there are as many of others. There is at least one."""
    return Counter(of_each).most_common(1)[0][0]


def refused_metrics(keys: MetricKeys, usual: MetricKeys) -> str:
    """Flower's strategies end the run when replies carry different metrics."""
    if keys == usual:
        return ""
    names, wanted = {name for name, _ in keys}, {name for name, _ in usual}
    if names == wanted:
        name = min(name for name, _ in keys ^ usual)
        return f"its metric {name!r} has another length than that of others"
    return _keys(sorted(wanted - names), sorted(names - wanted), "metric ")


def _refused_names(names: Set[str], wanted: Set[str]) -> str:
    return "" if names == wanted else _keys(sorted(wanted - names), sorted(names - wanted))


def _refused_arrays(arrays: Iterable[tuple[str, NDArray[Any]]], like: Arrays) -> str:
    for name, array in arrays:
        wanted = like[name]
        if array.shape != wanted.shape:
            return f"{name} has the shape {said(array.shape)}, not {said(wanted.shape)}"
        if mean_dtype(array.dtype) != mean_dtype(wanted.dtype):
            return f"{name} is {array.dtype}, not {wanted.dtype}"
        if array.dtype.kind in "fc" and (why := unusable(array)):
            return f"{name} {why}"
    return ""


def _keys(missing: Sequence[str], surplus: Sequence[str], kind: str = "") -> str:
    parts = [f"it lacks the {kind}{_first(missing)}"] if missing else []
    parts += [f"it has the {kind}{_first(surplus)}, which nobody asked for"] if surplus else []
    return " and ".join(parts)


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0][:80]!r}{more}"


def unusable(array: NDArray[Any]) -> str:
    """Why no mean can be made of floating-point values, nor the squares that FedAdam and Krum take; empty when all is
    well. A small sum of squares says in one pass that all are finite and none is huge."""
    flat = array.reshape(-1, order="C" if array.flags.c_contiguous else "F")
    quick, most = flat.dtype.itemsize >= 4, _MOST.get(flat.dtype.newbyteorder("="), _MOST_FLOAT64)
    for begin in range(0, len(flat), _PIECE):
        piece = flat[begin : begin + _PIECE].astype(flat.dtype.newbyteorder("="), copy=False)
        if quick and abs(np.vdot(piece, piece)) <= most**2:  # float16 has no fast product
            continue
        if not np.isfinite(piece).all():
            first, bad = piece[~np.isfinite(piece)][0], np.count_nonzero(~np.isfinite(flat))
            return f"holds {_number(first)} ({bad} of {flat.size} values are not finite)"
        if (largest := float(np.abs(piece).max())) > most:
            return f"holds {largest:.3g}, too large to be averaged"
    return ""


def _number(value: Any) -> str:
    return "NaN" if np.isnan(value) else "an infinity"
