"""What a run's rounds tell the hub: how far they are, their metrics, and the version each has made."""

import logging
import math
from typing import Protocol

from flwr.app import ArrayRecord, MetricRecord
from flwr.serverapp.strategy import Result, Strategy

from flip_hub.federation.aggregator.strategies.tensors import read
from flip_hub.federation.aggregator.versions import Files, VersionMaker
from flip_hub.federation.schemas import RoundFinished, RunReport, StrategyStarted, VersionMade
from flip_runtime.errors import Rejected

log = logging.getLogger("flwr.flip")


class Send(Protocol):
    """`Reports.send`."""

    def __call__(self, report: RunReport, files: Files | None = None) -> None: ...


class ProgressReports:
    def __init__(self, send: Send, versions: VersionMaker) -> None:
        self._send = send
        self._versions = versions

    def started(self, strategy: str, rounds: int, wants: int | None) -> None:
        self._send(StrategyStarted(strategy=strategy, rounds=rounds, wants=wants))
        self._versions.prepare()

    def finished(self, number: int, arrays: ArrayRecord | None, result: Result, void: str) -> None:
        """`arrays` are None when the round has not changed the model."""
        metrics = scalars(result.evaluate_metrics_clientapp.get(number))
        on_hub = scalars(result.evaluate_metrics_serverapp.get(number))
        metrics |= {f"hub-{name}": value for name, value in on_hub.items()}
        train = scalars(result.train_metrics_clientapp.get(number))
        self._send(RoundFinished(round=number, train_metrics=train, evaluate_metrics=metrics, void=void))
        if arrays is not None:
            self._make_version(number, arrays, metrics)

    def _make_version(self, number: int, arrays: ArrayRecord, metrics: dict[str, float]) -> None:
        try:
            version = self._versions.make(number, read(arrays), metrics)
        except Rejected as error:
            log.warning("round %d made no version: %s", number, error)
            return
        if version.warning:
            log.warning("the version of round %d holds weights only: %s", number, version.warning)
        self._send(VersionMade(manifest=version.manifest, warning=version.warning), version.files)


def scalars(record: MetricRecord | None) -> dict[str, float]:
    """The finite numbers of a record; JSON has no others."""
    values = {} if record is None else dict(record.items())
    numbers = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


def least_nodes(strategy: Strategy) -> int | None:
    """Of FedAvg and those made from it, by what `configure_train` waits for."""
    least = [getattr(strategy, name, None) for name in ("min_available_nodes", "min_train_nodes")]
    return max((number for number in least if isinstance(number, int)), default=None)
