"""Evaluation on the hub with what the app holds back: a function that its `pyproject.toml` names,

    [tool.flip]
    evaluate = "MODULE:FUNCTION"

called as Flower calls a strategy's `evaluate_fn`, with the round and its arrays; it returns a MetricRecord, or a dict
of numbers. Where the run's plan names a dataset of the hub, its file is at `os.environ["FLIP_DATASET"]`. It is called
only when the app gives `start` no evaluation of its own. What it raises ends the run, as in Flower.
"""

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord, MetricRecord

from flip_hub.federation.aggregator.strategies.steps import Evaluate
from flip_hub.federation.aggregator.versions import read_project
from flip_runtime.errors import Rejected

DATASET = "FLIP_DATASET"


def evaluation_of(app_folder: Path) -> Evaluate | None:
    """None when the app names none; its module is loaded with the first call. Raises `Rejected` then."""
    entry_point = read_project(app_folder).tool.flip.evaluate
    if not entry_point:
        return None
    loaded: list[Callable[[int, ArrayRecord], Any]] = []

    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
        if not loaded:
            loaded.append(_load(entry_point, app_folder))
        found = loaded[0](server_round, arrays)
        if found is None or isinstance(found, MetricRecord):
            return found
        if isinstance(found, Mapping):
            return MetricRecord({str(name): value for name, value in found.items()})
        raise Rejected(f"evaluate {entry_point} gave a {type(found).__name__}", hint="return a dict of numbers")

    return evaluate


def tell_dataset(path: Path | None) -> None:
    """Where the app finds the plan's dataset."""
    if path is None:
        os.environ.pop(DATASET, None)
    else:
        os.environ[DATASET] = str(path)


def _load(entry_point: str, app_folder: Path) -> Callable[[int, ArrayRecord], Any]:
    name, _, attribute = entry_point.partition(":")
    if str(app_folder) not in sys.path:
        sys.path.insert(0, str(app_folder))
    try:
        return getattr(importlib.import_module(name), attribute)
    except Exception as error:  # an app's module may raise anything
        raise Rejected(f"evaluate {entry_point} cannot be loaded: {type(error).__name__}: {error}") from error
