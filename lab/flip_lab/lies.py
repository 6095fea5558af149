"""What a device that lies answers in place of what it has trained."""

from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, RecordDict
from numpy.typing import NDArray

from flip_lab.faults import LieKind, Lies

Change = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
"""Of an array as it was sent to the device, and as the device has trained it."""
_SAMPLES = "num-examples"


def lie(told: Lies, instruction: RecordDict, reply: RecordDict) -> None:
    """Changes what is replied. What has no arrays, or comes before the lies begin, stays as it is."""
    if not reply.array_records or _round(instruction) < told.from_round:
        return
    record = next(iter(reply.array_records.values()))
    if told.kind in _SAMPLES_OF:
        for metrics in reply.metric_records.values():
            metrics[_SAMPLES] = _SAMPLES_OF[told.kind]
    elif told.kind == "metrics":
        for metrics in reply.metric_records.values():
            metrics["another"] = 1.0
    elif told.kind == "keys":
        record["another"] = record.pop(next(iter(record)))
    else:
        sent = next(iter(instruction.array_records.values()), ArrayRecord())
        change = _changes(told.factor)[told.kind]
        for name, array in record.items():
            trained = array.numpy()
            before = sent[name].numpy() if name in sent else np.zeros_like(trained)
            record[name] = Array(change(before, trained))


_SAMPLES_OF: dict[LieKind, int] = {"no-samples": 0, "many-samples": 10**9}


def _changes(factor: float) -> dict[LieKind, Change]:
    return {
        "nan": lambda _, trained: np.full_like(trained, np.nan),
        "infinite": lambda _, trained: np.full_like(trained, np.inf),
        "shape": lambda _, trained: np.append(trained.reshape(-1), trained.reshape(-1)[:1]),
        "dtype": lambda _, trained: trained.astype(np.float64 if trained.dtype != np.float64 else np.float32),
        "scaled": lambda before, trained: (before + factor * (trained - before)).astype(trained.dtype),
        "flipped": lambda before, trained: (before - (trained - before)).astype(trained.dtype),
    }


def _round(instruction: RecordDict) -> int:
    """1 where the instruction does not say."""
    for config in instruction.config_records.values():
        if isinstance(number := config.get("server-round"), int):
            return number
    return 1
