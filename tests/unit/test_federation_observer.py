"""Any strategy is observed without being subclassed, and behaves as if nobody watched."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Strategy
from flwr.supercore.task_identity import TaskIdentity
from safetensors.numpy import load

from flip_hub.federation.aggregator.observer import Observer, scalars
from flip_hub.federation.aggregator.versions import VersionMaker
from flip_hub.federation.schemas import RoundFinished, RunReport, StrategyStarted, VersionMade
from flip_wire.models import Sha256


class Heard:
    """Where reports go."""

    def __init__(self) -> None:
        self.reports: list[RunReport] = []
        self.files: dict[Sha256, bytes] = {}

    def send(self, report: RunReport, files: Mapping[Sha256, bytes] | None = None) -> None:
        self.reports.append(report)
        self.files.update(files or {})

    @property
    def kinds(self) -> list[str]:
        return [type(report).__name__ for report in self.reports]

    def of_round(self) -> list[RoundFinished]:
        return [report for report in self.reports if isinstance(report, RoundFinished)]


class AddingGrid(Grid):
    """Two devices that add 1 to what they get; in round `silent` nobody answers."""

    def __init__(self, silent: int = 0) -> None:
        self._silent = silent

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def set_run(self, run: Any) -> None: ...

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return [1, 2]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        return [reply for message in messages if (reply := self._answer(message)) is not None]

    def _answer(self, message: Message) -> Message | None:
        if message.content.config_records["config"]["server-round"] == self._silent:
            return None
        arrays = [array + 1 for array in message.content.array_records["arrays"].to_numpy_ndarrays()]
        metrics = MetricRecord({"num-examples": 5, "loss": 0.25, "bad": float("nan")})
        return Message(RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics}), reply_to=message)


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower's messages name the run of the process that they are made in."""
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


@pytest.fixture
def versions(folder: Path) -> VersionMaker:
    (folder / "pyproject.toml").write_text('[project]\nname = "Some App!"\n')
    return VersionMaker(folder)


def start(strategy: Strategy, grid: Grid, rounds: int = 2, **more: Any) -> Any:
    initial = ArrayRecord([np.zeros(4, dtype=np.float32)])
    return strategy.start(grid, initial, num_rounds=rounds, train_config=ConfigRecord({"lr": 0.1}), **more)


def test_rounds_metrics_and_versions_of_a_stock_strategy_are_reported(versions: VersionMaker) -> None:
    heard = Heard()
    observer = Observer(heard.send, versions)
    with observer.observing():
        result = start(FedAvg(), AddingGrid())
    assert heard.reports[0] == StrategyStarted(strategy="FedAvg", rounds=2, wants=2)
    assert heard.kinds[1:] == ["RoundFinished", "VersionMade"] * 2
    assert observer.round == 2
    for number, finished in enumerate(heard.of_round(), start=1):
        expected = RoundFinished(round=number, train_metrics={"loss": 0.25}, evaluate_metrics={"loss": 0.25})
        assert finished == expected
    made = heard.reports[-1]
    assert isinstance(made, VersionMade)
    assert (made.manifest.model, made.manifest.round, made.manifest.version) == ("some-app", 2, 0)
    weights = heard.files[made.manifest.weights.sha256]
    assert hashlib.sha256(weights).hexdigest() == made.manifest.weights.sha256
    assert load(weights)["0"].tolist() == result.arrays.to_numpy_ndarrays()[0].tolist() == [2.0] * 4


def test_with_an_evaluation_on_the_hub_the_round_ends_after_it(versions: VersionMaker) -> None:
    heard = Heard()
    asked: list[int] = []

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord:
        asked.append(number)
        return MetricRecord({"accuracy": 0.5, "per-class": [0.1, 0.9]})

    with Observer(heard.send, versions).observing():
        start(FedAvg(), AddingGrid(), evaluate_fn=evaluate)
    assert asked == [0, 1, 2]
    assert [r.evaluate_metrics for r in heard.of_round()] == [{"loss": 0.25, "hub-accuracy": 0.5}] * 2


def test_a_round_in_which_nobody_answers_ends_but_makes_no_version(versions: VersionMaker) -> None:
    heard = Heard()
    with Observer(heard.send, versions).observing():
        start(FedAvg(), AddingGrid(silent=1))
    assert heard.kinds == ["StrategyStarted", "RoundFinished", "RoundFinished", "VersionMade"]
    assert heard.of_round()[0] == RoundFinished(round=1, train_metrics={}, evaluate_metrics={})


def test_a_strategy_is_left_as_it_was(versions: VersionMaker) -> None:
    heard, strategy, original = Heard(), FedAvg(), Strategy.start
    observer = Observer(heard.send, versions)
    with observer.observing():
        start(strategy, AddingGrid())
        start(strategy, AddingGrid())
    assert heard.kinds.count("RoundFinished") == 4
    assert Strategy.start is original
    assert not {"configure_train", "aggregate_train", "aggregate_evaluate"} & set(vars(strategy))


def test_arrays_that_cannot_be_written_cost_the_version_and_not_the_run(versions: VersionMaker) -> None:
    heard = Heard()
    strategy = FedAvg(fraction_evaluate=0.0)
    odd = ArrayRecord([np.array(["text"])])
    strategy.aggregate_train = lambda server_round, replies: (odd, None)  # a strategy of somebody's own
    with Observer(heard.send, versions).observing():
        start(strategy, AddingGrid(), rounds=1)
    assert heard.kinds == ["StrategyStarted", "RoundFinished"]


def test_only_finite_numbers_are_metrics() -> None:
    record = MetricRecord({"a": 1, "b": 0.5, "c": float("inf"), "d": [1.0]})
    assert scalars(record) == {"a": 1.0, "b": 0.5}
    assert scalars(None) == {}
