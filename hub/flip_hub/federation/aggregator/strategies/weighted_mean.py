"""A weighted mean to which updates are added one at a time: what it needs is one sum, not all updates.

For the same updates in the same order it gives, bit for bit, what Flower's `aggregate_arrayrecords` gives: the first
product begins the sum, each further one is rounded before it is added.
"""

import importlib
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
from flwr.app import ArrayRecord, RecordDict
from numpy.typing import NDArray

from flip_hub.federation.aggregator.strategies.tensors import mean_dtype, views, written

_PIECE = 131_072
"""Entries whose products are there at one time: they stay in the processor's cache until they are added."""


class WeightedMean:
    def __init__(self) -> None:
        self._sums: dict[str, NDArray[Any]] = {}
        self._products: dict[np.dtype[Any], NDArray[Any]] = {}

    def add(self, arrays: Iterable[tuple[str, NDArray[Any]]], factor: float) -> None:
        """Adds `factor` times the arrays. All calls give the same names and shapes (`refusals.refusal`)."""
        for name, array in arrays:
            total = self._sums.get(name)
            if total is None:
                total = np.empty_like(array, dtype=mean_dtype(array.dtype), subok=False)
                self._sums[name] = np.multiply(array, factor, out=total)
            else:
                self._add(total, array, factor)

    def result(self) -> dict[str, NDArray[Any]]:
        """The sums, which are the caller's from now on: nothing is left to add to."""
        sums, self._sums = self._sums, {}
        return sums

    def _add(self, total: NDArray[Any], array: NDArray[Any], factor: float) -> None:
        order = "C" if total.flags.c_contiguous else "F"
        sums, values = total.reshape(-1, order=order), array.reshape(-1, order=order)
        room = self._products.get(total.dtype)
        if room is None:
            room = self._products[total.dtype] = np.empty(_PIECE, total.dtype)
        for begin in range(0, len(sums), _PIECE):
            piece = sums[begin : begin + _PIECE]
            product = np.multiply(values[begin : begin + _PIECE], factor, out=room[: len(piece)])
            np.add(piece, product, out=piece)


def install() -> None:
    """From now on Flower's FedAvg, and what builds on its mean, computes it as here. Fails plainly when Flower has
    changed."""
    for name in ("fedavg", "multikrum"):
        module = importlib.import_module(f"flwr.serverapp.strategy.{name}")
        if not hasattr(module, "aggregate_arrayrecords"):
            raise ImportError(f"this version of Flower computes means in another way: {module.__name__} expects 1.41")
        setattr(module, "aggregate_arrayrecords", aggregate_arrayrecords)  # noqa: B010  a module has no type for it


def factors(weights: Iterable[float]) -> list[float]:
    """Each weight's share of all, as Flower computes it."""
    weights = list(weights)
    total = sum(weights)
    return [weight / total for weight in weights]


def aggregate_arrayrecords(records: Sequence[RecordDict], weighting_metric_name: str) -> ArrayRecord:
    """In the place of Flower's function of that name (`flwr.serverapp.strategy.strategy_utils`), with the same result.

    It reads one array at a time, and its `data` once: where that is fetched when it is read (`lazy_array`), no more of
    the updates is in memory.
    """
    weights = [cast(float, next(iter(record.metric_records.values()))[weighting_metric_name]) for record in records]
    mean = WeightedMean()
    for record, factor in zip(records, factors(weights), strict=True):
        for arrays in record.array_records.values():
            mean.add(views(arrays.items()), factor)
    return written(mean.result())
