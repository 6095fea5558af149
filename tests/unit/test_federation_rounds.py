"""Any strategy runs as with Flower's own loop, is reported, and goes on from any step with the same bits."""

import hashlib
import json
import random
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Bulyan, FedAvg, FedAvgM, Result, Strategy
from flwr.supercore.task_identity import TaskIdentity
from safetensors.numpy import load

from flip_hub.federation.aggregator.grid import RoundGrid
from flip_hub.federation.aggregator.instructions import Instructions
from flip_hub.federation.aggregator.progress_reports import ProgressReports, scalars
from flip_hub.federation.aggregator.roster import Roster
from flip_hub.federation.aggregator.rounds import Conductor
from flip_hub.federation.aggregator.saved import Saved
from flip_hub.federation.aggregator.strategies.catalogue import catalogue, make
from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from flip_hub.federation.aggregator.versions import Content, Files, VersionMaker
from flip_hub.federation.journal import Journal, Journals
from flip_hub.federation.plan import Value
from flip_hub.federation.schemas import (
    MessagesPushed,
    RepliesMissed,
    RepliesTaken,
    RoundFinished,
    RunReport,
    StrategyStarted,
    VersionMade,
)
from flip_wire.models import Sha256

RUN = "run-1"


class Killed(BaseException):
    """Nothing that the code under test could catch."""


class Heard:
    """Where reports go."""

    def __init__(self) -> None:
        self.reports: list[RunReport] = []
        self.files: dict[Sha256, Content] = {}

    def send(self, report: RunReport, files: Files | None = None) -> None:
        self.reports.append(report)
        self.files.update(files or {})

    def kinds(self) -> list[str]:
        """Without what is told of single messages."""
        told = ("StrategyStarted", "RoundFinished", "VersionMade")
        return [name for report in self.reports if (name := type(report).__name__) in told]

    def of_round(self) -> list[RoundFinished]:
        return [report for report in self.reports if isinstance(report, RoundFinished)]


class DriftingGrid(Grid):
    """Devices that add what depends on them and on what they get; in round `silent` nobody answers."""

    def __init__(self, devices: int = 2, silent: int = 0, dies_at: int = -1) -> None:
        """Before the `dies_at`-th exchange everything is killed."""
        self._devices = devices
        self._silent = silent
        self._left = dies_at
        self._sent: dict[str, Message] = {}
        self.trained: list[tuple[int, int]] = []

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def set_run(self, run: Any) -> None: ...

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return list(range(10, 10 + self._devices))

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        if self._left == 0:
            raise Killed
        self._left -= 1
        ids = [f"m{len(self._sent) + number}" for number, _ in enumerate(messages)]
        for message_id, message in zip(ids, messages, strict=True):
            message.metadata.__dict__["_message_id"] = message_id
            self._sent[message_id] = message
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [reply for key in message_ids if (reply := self._answer(self._sent[key])) is not None]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        return list(self.pull_messages(self.push_messages(list(messages))))

    def _answer(self, message: Message) -> Message | None:
        number, node = message.content.config_records["config"]["server-round"], message.metadata.dst_node_id
        assert isinstance(number, int)
        if number == self._silent:
            return None
        given = message.content.array_records["arrays"].to_numpy_ndarrays()
        metrics = MetricRecord({"num-examples": node, "loss": 0.25, "train_loss": 0.5, "bad": float("nan")})
        if message.metadata.message_type == "evaluate":
            return Message(RecordDict({"metrics": metrics}), reply_to=message)
        self.trained.append((number, node))
        arrays = [array + np.float32(0.1 * node) * (1 + np.abs(array)) ** 0.5 for array in given]
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


@contextmanager
def conducted(folder: Path, heard: Heard, versions: VersionMaker, grid: Grid) -> Generator[RoundGrid]:
    """As in a ServerApp's process; what is on the disk in `folder` is of those before it."""
    journal = Journal(folder / RUN)
    ours = RoundGrid(grid, journal, heard.send, Roster(dict, wait=60.0), Instructions(RUN))
    conductor = Conductor(ours, Saved(journal), ProgressReports(heard.send, versions), seed=7)
    try:
        with conductor.conducting():
            yield ours
    finally:
        journal.close()


def start(strategy: Strategy, grid: Grid, rounds: int = 2, **more: Any) -> Result:
    initial = ArrayRecord([np.zeros(4, dtype=np.float32), np.ones((2, 3), dtype=np.float32)])
    return strategy.start(grid, initial, num_rounds=rounds, timeout=5.0, train_config=ConfigRecord({"lr": 0.1}), **more)


def bits(result: Result) -> list[bytes]:
    return [array.data for array in result.arrays.values()]


def test_rounds_metrics_and_versions_of_a_stock_strategy_are_reported(folder: Path, versions: VersionMaker) -> None:
    heard = Heard()
    with conducted(folder, heard, versions, DriftingGrid()) as grid:
        result = start(FedAvg(), grid)
    assert heard.reports[0] == StrategyStarted(strategy="FedAvg", rounds=2, wants=2)
    assert heard.kinds()[1:] == ["RoundFinished", "VersionMade"] * 2
    for number, finished in enumerate(heard.of_round(), start=1):
        train, evaluate = finished.train_metrics, finished.evaluate_metrics
        told = {"loss": 0.25, "train_loss": 0.5}
        assert (finished.round, train, evaluate) == (number, told, told)
    made = heard.reports[-1]
    assert isinstance(made, VersionMade)
    assert (made.manifest.model, made.manifest.round, made.manifest.version) == ("some-app", 2, 0)
    weights = heard.files[made.manifest.weights.sha256]
    assert isinstance(weights, bytes)
    assert hashlib.sha256(weights).hexdigest() == made.manifest.weights.sha256
    assert load(weights)["0"].tolist() == result.arrays.to_numpy_ndarrays()[0].tolist()


STRATEGIES = [name for name in catalogue() if name != "fedbuff"]
"""All that have rounds."""
OPTIONS: dict[str, dict[str, Value]] = {
    "qfedavg": {"client_learning_rate": 0.1},
    "multikrum": {"num_nodes_to_select": 2},
    "fedtrimmedavg": {"beta": 0.4},
}


class TreeGrid(DriftingGrid):
    """Devices that answer one tree each: by their node, the round, and how much they were given."""

    def _answer(self, message: Message) -> Message | None:
        reply = super()._answer(message)
        if reply is not None and message.metadata.message_type == "train":
            number, node = self.trained[-1]
            given = sum(len(array.data) for array in message.content.array_records["arrays"].values())
            tree = {"id": 0, "of": f"{number} {node} {given}"}
            reply.content["arrays"] = ArrayRecord([np.frombuffer(trees_of(tree), np.uint8)])
        return reply


def trees_of(*trees: Mapping[str, object]) -> bytes:
    counts = {"num_trees": str(len(trees)), "num_parallel_tree": str(len(trees))}
    model = {
        "gbtree_model_param": counts,
        "iteration_indptr": [0, len(trees)],
        "trees": trees,
        "tree_info": [0] * len(trees),
    }
    return json.dumps({"learner": {"gradient_booster": {"model": model}}}).encode()


def first_of(nodes: Sequence[int], count: int) -> list[int]:
    return sorted(nodes)[:count]


def devices_of(name: str, count: int = 6, **more: Any) -> DriftingGrid:
    return (TreeGrid if "xgb" in name else DriftingGrid)(count, **more)


def begun(name: str, grid: Grid, rounds: int) -> Result:
    """With half of the devices in each round, where the strategy lets it."""
    strategy: Any = make(name, OPTIONS.get(name, {}))
    strategy.fraction_train, strategy.min_train_nodes = 0.5, 3
    if "xgb" not in name:
        return start(strategy, grid, rounds)
    return strategy.start(grid, ArrayRecord([np.frombuffer(b"", np.uint8)]), num_rounds=rounds, timeout=5.0)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_gives_the_same_as_with_flowers_own_loop(
    name: str, folder: Path, versions: VersionMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "sample", first_of)  # what is drawn has a seed here, and none there
    with conducted(folder, Heard(), versions, devices_of(name, 3)) as grid:
        found = begun(name, grid, 3)
    expected = begun(name, devices_of(name, 3), 3)
    assert bits(found) == bits(expected)
    assert str(found.train_metrics_clientapp) == str(expected.train_metrics_clientapp)
    assert str(found.evaluate_metrics_clientapp) == str(expected.evaluate_metrics_clientapp)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_run_that_is_killed_before_each_of_its_exchanges_ends_with_the_same_bits(
    name: str, folder: Path, versions: VersionMaker
) -> None:
    rounds, undisturbed = 4, devices_of(name)
    with conducted(folder / "whole", Heard(), versions, undisturbed) as grid:
        whole = begun(name, grid, rounds)
    heard, trained = Heard(), list[tuple[int, int]]()
    for _ in range(2 * rounds - 1):
        random.seed()  # another process
        dying = devices_of(name, dies_at=1)
        with pytest.raises(Killed), conducted(folder / "cut", heard, versions, dying) as grid:
            begun(name, grid, rounds)
        trained += dying.trained
    last = devices_of(name)
    with conducted(folder / "cut", heard, versions, last) as grid:
        cut = begun(name, grid, rounds)
    assert bits(cut) == bits(whole)
    assert str(cut.train_metrics_clientapp) == str(whole.train_metrics_clientapp)
    assert sorted(trained) == sorted(undisturbed.trained)
    assert len(trained) == len(set(trained)) == rounds * (1 if name == "fedxgbcyclic" else 3), "none trained twice"
    assert last.trained == []
    assert {report.round for report in heard.of_round()} == set(range(1, rounds + 1))


def test_a_reply_counts_when_a_checkpoint_holds_what_came_of_it(folder: Path, versions: VersionMaker) -> None:
    heard, journals = Heard(), Journals(folder)
    dying = DriftingGrid(dies_at=1)
    with pytest.raises(Killed), conducted(folder, heard, versions, dying) as grid:
        start(FedAvg(), grid)
    taken = [report for report in heard.reports if isinstance(report, RepliesTaken)]
    assert [(report.messages, report.round) for report in taken] == [(["m0", "m1"], 1)]
    assert journals.holds(RUN, "m1")
    assert not journals.holds(RUN, "m2")


def test_each_update_of_fedbuff_is_told_with_the_step_that_it_is_in(folder: Path, versions: VersionMaker) -> None:
    """Steps of one update, for which four devices train at once: a lineage goes by these steps, not by the base's."""
    heard = Heard()
    buffered = FedBuff(buffer_size=1, concurrency=4, min_available_nodes=4, fraction_evaluate=0.0)
    with conducted(folder, heard, versions, DriftingGrid(devices=4)) as grid:
        start(buffered, grid, rounds=4)
    pushed = [report for report in heard.reports if isinstance(report, MessagesPushed)]
    asked = {message: report.round for report in pushed for message in report.messages}
    taken = {key: each.round for each in heard.reports if isinstance(each, RepliesTaken) for key in each.messages}
    assert sorted(taken.values()) == [1, 2, 3, 4]
    assert sorted(asked[message] for message in taken) == [1, 1, 1, 1], "the others are of the first model, too"


def test_with_an_evaluation_on_the_hub_the_round_ends_after_it(folder: Path, versions: VersionMaker) -> None:
    heard = Heard()
    asked: list[int] = []

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord:
        asked.append(number)
        return MetricRecord({"accuracy": 0.5, "per-class": [0.1, 0.9]})

    with conducted(folder, heard, versions, DriftingGrid()) as grid:
        start(FedAvg(), grid, evaluate_fn=evaluate)
    assert asked == [0, 1, 2]
    assert [r.evaluate_metrics for r in heard.of_round()] == [
        {"loss": 0.25, "train_loss": 0.5, "hub-accuracy": 0.5}
    ] * 2


def test_a_round_in_which_nobody_answers_ends_but_makes_no_version(folder: Path, versions: VersionMaker) -> None:
    heard = Heard()
    with conducted(folder, heard, versions, DriftingGrid(silent=1)) as grid:
        initial = ArrayRecord([np.zeros(4, dtype=np.float32)])
        FedAvg().start(grid, initial, num_rounds=2, timeout=0.2)
    assert heard.kinds() == ["StrategyStarted", "RoundFinished", "RoundFinished", "VersionMade"]
    assert heard.of_round()[0] == RoundFinished(round=1, train_metrics={}, evaluate_metrics={})


def test_a_round_of_which_its_strategy_makes_nothing_is_void_and_its_results_are_late(
    folder: Path, versions: VersionMaker
) -> None:
    heard = Heard()
    with conducted(folder, heard, versions, DriftingGrid()) as grid:
        result = start(Bulyan(), grid, rounds=1)
    assert heard.kinds() == ["StrategyStarted", "RoundFinished"]
    void = "the round is void: Bulyan made nothing of 2 results; the log says why"
    assert [report.void for report in heard.of_round()] == [void]
    assert [each for each in heard.reports if isinstance(each, RepliesMissed)] == [
        RepliesMissed(messages=["m0", "m1"], reason=void)
    ]
    taken = [report.messages for report in heard.reports if isinstance(report, RepliesTaken)]
    assert taken == [["m2", "m3"]], "the evaluation"
    assert result.arrays.to_numpy_ndarrays() == []


def test_a_strategy_of_the_apps_own_may_use_results_without_making_a_model_of_them(
    folder: Path, versions: VersionMaker
) -> None:
    class Counting(FedAvg):
        def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> tuple[None, None]:
            return None, None

    heard = Heard()
    with conducted(folder, heard, versions, DriftingGrid()) as grid:
        start(Counting(), grid, rounds=1)
    assert [report.void for report in heard.of_round()] == [""]
    taken = [report.messages for report in heard.reports if isinstance(report, RepliesTaken)]
    assert taken == [["m0", "m1"], ["m2", "m3"]]


@pytest.mark.parametrize("damaged", ["1-000002-done.checkpoint", "1-000002-trained.checkpoint"])
def test_a_run_goes_on_from_the_last_checkpoint_that_is_whole(
    damaged: str, folder: Path, versions: VersionMaker
) -> None:
    with conducted(folder / "whole", Heard(), versions, DriftingGrid()) as grid:
        whole = start(FedAvgM(server_momentum=0.5), grid, rounds=3)
    with pytest.raises(Killed), conducted(folder / "cut", Heard(), versions, DriftingGrid(dies_at=4)) as grid:
        start(FedAvgM(server_momentum=0.5), grid, rounds=3)
    path = folder / "cut" / RUN / damaged
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with conducted(folder / "cut", Heard(), versions, DriftingGrid()) as grid:
        assert bits(start(FedAvgM(server_momentum=0.5), grid, rounds=3)) == bits(whole)


def test_an_app_that_starts_twice_is_followed_through_both(folder: Path, versions: VersionMaker) -> None:
    heard, original = Heard(), Strategy.start
    with conducted(folder, heard, versions, DriftingGrid()) as grid:
        start(FedAvg(), grid)
        start(FedAvg(), grid, rounds=1)
    assert heard.kinds().count("RoundFinished") == 3
    assert Strategy.start is original


def test_a_strategy_on_a_grid_of_the_apps_own_is_left_alone(folder: Path, versions: VersionMaker) -> None:
    heard = Heard()
    with conducted(folder, heard, versions, DriftingGrid()):
        start(FedAvg(), DriftingGrid())
    assert heard.reports == []


def test_arrays_that_cannot_be_written_cost_the_version_and_not_the_run(folder: Path, versions: VersionMaker) -> None:
    heard = Heard()
    strategy = FedAvg(fraction_evaluate=0.0)
    odd = ArrayRecord([np.array(["text"])])
    strategy.aggregate_train = lambda server_round, replies: (odd, None)  # a strategy of somebody's own
    with conducted(folder, heard, versions, DriftingGrid()) as grid:
        start(strategy, grid, rounds=1)
    assert heard.kinds() == ["StrategyStarted", "RoundFinished"]


def test_only_finite_numbers_are_metrics() -> None:
    record = MetricRecord({"a": 1, "b": 0.5, "c": float("inf"), "d": [1.0]})
    assert scalars(record) == {"a": 1.0, "b": 0.5}
    assert scalars(None) == {}
