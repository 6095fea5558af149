"""The account of a private run stays right whenever its process dies, and nothing goes round it."""

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg, Strategy
from flwr.supercore.task_identity import TaskIdentity
from test_federation_rounds import DriftingGrid, Heard, Killed, start

from flip_hub.federation.aggregator.grid import RoundGrid
from flip_hub.federation.aggregator.instructions import Instructions
from flip_hub.federation.aggregator.privacy.ledger import Ledger
from flip_hub.federation.aggregator.progress_reports import ProgressReports
from flip_hub.federation.aggregator.roster import Roster
from flip_hub.federation.aggregator.rounds import Conductor
from flip_hub.federation.aggregator.saved import Saved
from flip_hub.federation.aggregator.versions import VersionMaker
from flip_hub.federation.brief import NodeFacts
from flip_hub.federation.journal import Journal
from flip_hub.federation.privacy.on_devices import UNABLE, on_devices
from flip_hub.federation.privacy.schemas import DeviceAdaptive, HubFixed, Local, Privacy, PrivacySpent, Release
from flip_hub.federation.schemas import Released, ReplyRefused, StrategyStarted
from flip_runtime.errors import Rejected, Unavailable
from flip_wire.terms import RECORD, TERMS, Noise, decode_terms

FOR_TWO = HubFixed(noise_multiplier=1.0, clipping_norm=1.0, budget=7.0, delta=1e-5)
"""Two rounds cost 6.573, three 8.39."""
ADAPTIVE = DeviceAdaptive(noise_multiplier=1e-3, clipping_norm=1.0, clipped_count_stddev=1e-3, budget=1e9, delta=1e-5)
LOCAL = Local(clipping_norm=1.0, message_epsilon=0.9, message_delta=1e-6, budget=3.0, delta=1e-5)


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower's messages name the run of the process that they are made in."""
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


class RecordingGrid(DriftingGrid):
    """Notes what it was given."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pushed: list[Message] = []

    def push_messages(self, messages: Any) -> Any:
        messages = list(messages)
        self.pushed += messages
        return super().push_messages(messages)


class PrivateRun:
    """Its processes, one after another; what is on the disk in `folder` is of those before."""

    def __init__(self, folder: Path, privacy: Privacy, known: Sequence[Release] = ()) -> None:
        (folder / "pyproject.toml").write_text('[project]\nname = "app"\n')
        self._folder = folder
        self._privacy = privacy
        self._known = known
        self.heard = Heard()

    @contextmanager
    def process(self, grid: DriftingGrid) -> Generator[RoundGrid]:
        on_them = on_devices(self._privacy)
        journal = Journal(self._folder / "run-1")
        roster = Roster(_facts, wait=2.0, strangers="" if on_them is None else UNABLE)
        instructions = Instructions("run-1", privacy=on_them)
        ours = RoundGrid(grid, journal, self.heard.send, roster, instructions, in_rounds="plan.privacy")
        reports = ProgressReports(self.heard.send, VersionMaker(self._folder))
        ledger = Ledger(self._privacy, self._known, self.heard.send, refuse=ours.refuse)
        conductor = Conductor(ours, Saved(journal, private=True), reports, seed=7, ledger=ledger)
        try:
            with conductor.conducting():
                yield ours
        finally:
            journal.close()

    def start(self, grid: DriftingGrid, rounds: int, strategy: Strategy | None = None) -> None:
        with self.process(grid) as ours:
            start(strategy or FedAvg(), ours, rounds)

    def told(self) -> list[PrivacySpent]:
        return [report.privacy for report in self.heard.reports if isinstance(report, Released)]


def _facts() -> dict[int, NodeFacts]:
    """Of node 10 alone: the hub does not know the others."""
    return {10: NodeFacts(node="10", device_id="one", agent=True)}  # pyright: ignore[reportArgumentType]


def times(run: PrivateRun) -> int:
    return sum(each.times for each in run.told()[-1].releases)


def test_the_hub_is_told_after_each_round_what_is_spent_and_what_will_be(folder: Path) -> None:
    run = PrivateRun(folder, FOR_TWO)
    run.start(DriftingGrid(), 2)
    assert [round(each.epsilon, 2) for each in run.told()] == [0.0, 4.38, 6.57]
    assert [each.planned for each in run.told()] == [pytest.approx(6.573, abs=1e-3)] * 3
    started = next(each for each in run.heard.reports if isinstance(each, StrategyStarted))
    assert (started.strategy, started.wants) == ("FedAvg", 2)


def test_a_run_past_its_budget_asks_nobody(folder: Path) -> None:
    run, grid = PrivateRun(folder, FOR_TWO), RecordingGrid()
    with pytest.raises(Rejected, match=r"plan\.privacy\.budget: 3 rounds cost"):
        run.start(grid, 3)
    assert grid.pushed == []


@pytest.mark.parametrize("privacy", [FOR_TWO, LOCAL])
def test_killed_before_any_exchange_it_pays_for_each_round_once(folder: Path, privacy: Privacy) -> None:
    run = PrivateRun(folder, privacy)
    for _ in range(2):
        with pytest.raises(Killed):
            run.start(DriftingGrid(1, dies_at=0), 2, _of_one())
    with pytest.raises(Killed):
        run.start(
            DriftingGrid(1, dies_at=2), 2, _of_one()
        )  # a round of a private run is one exchange, and an empty one
    run.start(DriftingGrid(1), 2, _of_one())
    assert times(run) == 2


def test_a_norm_that_adapts_goes_on_from_the_checkpoint(folder: Path) -> None:
    run = PrivateRun(folder, ADAPTIVE)
    norms: list[Any] = []
    for rounds in (1, 2):
        grid = Clipped(1)
        run.start(grid, rounds, _of_one())
        norms.append(grid.pushed[0].content.config_records["config"]["clipping_norm"])
    assert norms[0] == 1.0
    assert norms[1] == pytest.approx(math.exp(0.2 * (1 - 0.5)), abs=0.01)
    assert times(run) == 2


class Clipped(RecordingGrid):
    """Devices that change nothing, and say that they were clipped."""

    def _answer(self, message: Message) -> Message | None:
        arrays = message.content.array_records["arrays"]
        metrics = MetricRecord({"num-examples": 1, "norm_bit": 1})
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


def test_a_checkpoint_that_was_lost_does_not_make_the_account_forget(folder: Path) -> None:
    run = PrivateRun(folder, FOR_TWO, known=[Release(noise_multiplier=1.0, times=2)])
    with pytest.raises(Rejected, match=r"1 round costs .*6\.573 is spent already"):
        run.start(DriftingGrid(), 1)


def test_a_round_whose_checkpoint_cannot_be_written_ends_the_run_before_its_model_leaves(folder: Path) -> None:
    """Done again after a crash it would have other noise: two answers, of which the account knows one."""
    run, grid = PrivateRun(folder, FOR_TWO), RecordingGrid(1)
    (folder / "run-1" / "1-000001-trained.checkpoint").mkdir(parents=True)
    with pytest.raises(Unavailable, match=r"no checkpoint of round 1: .* a private run"):
        run.start(grid, 2, _of_one())
    assert len(grid.pushed) == 1, "a device was given the model of the round that no checkpoint holds"
    assert [round(each.epsilon, 2) for each in run.told()] == [0.0]


def test_a_second_strategy_of_the_same_run_pays_from_the_same_budget(folder: Path) -> None:
    run = PrivateRun(folder, FOR_TWO)
    with run.process(DriftingGrid()) as ours:
        start(FedAvg(), ours, 1)
        start(FedAvg(), ours, 1)
        with pytest.raises(Rejected, match="is spent already"):
            start(FedAvg(), ours, 1)
    assert times(run) == 2


def test_an_app_that_asks_devices_by_itself_is_refused(folder: Path) -> None:
    grid = RecordingGrid()
    with PrivateRun(folder, FOR_TWO).process(grid) as ours:
        message = Message(RecordDict({"config": ConfigRecord()}), dst_node_id=10, message_type="query")
        with pytest.raises(Rejected, match=r"plan\.privacy: the app asks devices by itself"):
            ours.send_and_receive([message])
    assert grid.pushed == []


def test_devices_are_told_what_to_do_and_strangers_are_not_asked(folder: Path) -> None:
    grid = RecordingGrid(3)
    PrivateRun(folder, LOCAL).start(grid, 1, _of_one())
    (message,) = grid.pushed
    assert message.metadata.dst_node_id == 10
    terms = message.content.config_records[RECORD][TERMS]
    assert isinstance(terms, bytes)
    assert decode_terms(terms).privacy == Noise(clipping_norm=1.0, stddev=LOCAL.stddev)


def test_a_reply_that_cannot_be_in_the_mean_is_refused_to_its_device(folder: Path) -> None:
    run = PrivateRun(folder, FOR_TWO)

    class Huge(DriftingGrid):
        def _answer(self, message: Message) -> Message | None:
            reply = super()._answer(message)
            if reply is not None and message.metadata.dst_node_id == 11:
                arrays = [array + 3e30 for array in message.content.array_records["arrays"].to_numpy_ndarrays()]
                reply.content["arrays"] = type(reply.content.array_records["arrays"])(arrays)
            return reply

    run.start(Huge(), 1)
    (refused,) = (each for each in run.heard.reports if isinstance(each, ReplyRefused))
    assert refused.node == "11"
    assert "too large to be averaged" in refused.reason


def _of_one() -> FedAvg:
    return FedAvg(min_train_nodes=1, min_evaluate_nodes=1, min_available_nodes=1)
