"""The Grid of a ServerApp gives the same replies as Flower's, sooner, on disk first, and tells the hub of each step."""

import asyncio
import copy
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, FedXgbBagging, QFedAvg, Strategy
from flwr.supercore.task_identity import TaskIdentity

from flip_hub.federation.aggregator import grid as grid_module
from flip_hub.federation.aggregator.demands import demands_of
from flip_hub.federation.aggregator.grid import RoundGrid
from flip_hub.federation.aggregator.instructions import Instructions
from flip_hub.federation.aggregator.roster import Roster
from flip_hub.federation.brief import NodeFacts
from flip_hub.federation.journal import Journal, Journals
from flip_hub.federation.plan import Folding, RoundRules
from flip_hub.federation.schemas import (
    MessagesPushed,
    RepliesMissed,
    RepliesTaken,
    ReplyContent,
    ReplyReceived,
    ReplyRefused,
    RunReport,
)
from flip_runtime.errors import Rejected, Unavailable
from flip_wire.fleet import DeviceId
from flip_wire.terms import ACCOUNT, RECORD, Account, encode

NOBODY = "nobody"
RUN = "1"
EMPTY = ReplyContent(sha256="", size=0, weight=None)


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower's messages name the run of the process that they are made in."""
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


class StepClock:
    """On which nothing takes time but to sleep, and that a moment longer than asked, as on every machine."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float, left: float | None = None) -> None:
        self.time += seconds + 0.001


class LaterGrid(Grid):
    """Each node's reply is there `after[node]` looks later; a negative number is that many looks to an error."""

    def __init__(self, after: dict[int, int]) -> None:
        self.after = after
        self._sent: dict[str, Message] = {}
        self._numbers = itertools.count()
        self.looks = 0
        self.answers_itself = False
        self.content = RecordDict()

    @property
    def run(self) -> Any:
        return NOBODY

    def set_run(self, run: Any) -> None: ...

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return list(self.after)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        ids = [f"m{next(self._numbers)}" for _ in messages]
        for message_id, message in zip(ids, messages, strict=True):
            message.metadata.__dict__["_message_id"] = message_id
            self._sent[message_id] = message
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        self.looks += 1
        due = [i for i in message_ids if abs(self.after[self._sent[i].metadata.dst_node_id]) <= self.looks]
        return [self._reply(self._sent.pop(i)) for i in due]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        raise NotImplementedError

    def _reply(self, message: Message) -> Message:
        if self.answers_itself:
            reply = Message(Error(code=5, reason="node is away"), reply_to=message)
            reply.metadata.__dict__["_src_node_id"] = 1
            return reply
        if self.after[message.metadata.dst_node_id] < 0:
            return Message(Error(code=5, reason="no such luck"), reply_to=message)
        return Message(copy.deepcopy(self.content), reply_to=message)


def instructions(nodes: Iterable[int], kind: str = "train", number: int | None = 3) -> list[Message]:
    config = ConfigRecord({} if number is None else {"server-round": number})
    return [Message(RecordDict({"config": config}), dst_node_id=node, message_type=kind) for node in nodes]


@pytest.fixture
def journal(folder: Path) -> Iterator[Journal]:
    journal = Journal(folder / RUN)
    yield journal
    journal.close()


def grid_of(after: dict[int, int], journal: Journal) -> tuple[RoundGrid, list[RunReport], LaterGrid]:
    reports: list[RunReport] = []
    inner = LaterGrid(after)
    asked = Instructions("run-1")
    asked.round = 9
    return RoundGrid(inner, journal, reports.append, Roster(dict, wait=60.0), asked), reports, inner


def test_replies_come_within_moments_and_each_step_is_reported(journal: Journal) -> None:
    big = 2**63 + 5
    grid, reports, _ = grid_of({big: 1, 7: 2, 8: -3}, journal)
    grid.clock = clock = StepClock()
    replies = grid.send_and_receive(instructions([big, 7, 8], "train.fit"))
    assert clock.time < 1001.0, "Flower's own grid looks every 3 s"
    assert len(replies) == 3
    assert reports == [
        MessagesPushed(round=3, phase="train", nodes=[str(big), "7", "8"], messages=["m0", "m1", "m2"]),
        RepliesTaken(messages=["m0"], round=3),
        ReplyReceived(round=3, phase="train", node=str(big), error="", message="m0", content=EMPTY),
        RepliesTaken(messages=["m1"], round=3),
        ReplyReceived(round=3, phase="train", node="7", error="", message="m1", content=EMPTY),
        RepliesTaken(messages=["m2"], round=3),
        ReplyReceived(round=3, phase="train", node="8", error="no such luck", message="m2"),
    ]
    assert [reply.metadata.src_node_id for reply in replies] == [7, 8, big], "whoever was first"


def test_a_timeout_ends_the_wait_with_what_has_come(journal: Journal) -> None:
    grid, reports, _ = grid_of({7: 1, 8: 1_000}, journal)
    grid.clock = clock = StepClock()
    replies = grid.send_and_receive(instructions([7, 8]), timeout=0.4)
    assert clock.time == pytest.approx(1000.4, abs=0.01)
    assert [reply.metadata.src_node_id for reply in replies] == [7]
    assert len(reports) == 4
    assert reports[-1] == RepliesMissed(messages=["m1"], reason="its round had ended after 0.4 s")


def test_an_answer_of_flowers_in_the_place_of_a_device_is_no_reply_of_it(journal: Journal) -> None:
    grid, reports, inner = grid_of({7: 1}, journal)
    inner.answers_itself = True
    grid.send_and_receive(instructions([7]))
    assert reports[1:] == [
        ReplyReceived(round=3, phase="train", node="7", error="node is away"),
        RepliesMissed(messages=["m0"], reason="its round went on without it: node is away"),
    ]


def test_of_what_a_device_says_of_its_failure_no_more_is_told_than_people_read(journal: Journal) -> None:
    grid, reports, inner = planned({7: 1}, journal, RoundRules())
    inner._reply = lambda message: Message(Error(code=5, reason="x" * 10_000_000), reply_to=message)
    grid.send_and_receive(instructions([7]))
    (told,) = [report.error for report in reports if isinstance(report, ReplyReceived)]
    assert told == "x" * 500


def test_a_long_wait_costs_few_looks(journal: Journal) -> None:
    grid, _, inner = grid_of({7: 1_000}, journal)
    grid.send_and_receive(instructions([7]), timeout=2.0)
    assert inner.looks < 30


def test_a_message_that_names_no_round_belongs_to_the_current_one(journal: Journal) -> None:
    grid, reports, _ = grid_of({7: 1}, journal)
    ids = list(grid.push_messages(instructions([7], "query", number=None)))
    assert reports == [MessagesPushed(round=9, phase="query", nodes=["7"], messages=["m0"])]
    grid.pull_messages(ids)
    assert reports[2:] == [ReplyReceived(round=9, phase="query", node="7", error="", message="m0", content=EMPTY)]


def test_nothing_sent_is_nothing_waited_for_and_nothing_told(journal: Journal) -> None:
    grid, reports, inner = grid_of({}, journal)
    assert grid.send_and_receive([]) == []
    assert (reports, inner.looks, grid.run) == ([], 0, NOBODY)


def test_of_more_replies_than_are_watched_each_is_still_told_to_be_here(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid_module, "_IN_FLIGHT", 1)
    grid, reports, _ = grid_of(dict.fromkeys((7, 8, 9), 0), journal)
    assert len(grid.send_and_receive(instructions([7, 8, 9]))) == 3
    here = [(report.message, report.round) for report in reports if isinstance(report, ReplyReceived)]
    assert sorted(here) == [("m0", 0), ("m1", 0), ("m2", 3)]


def test_what_one_look_brought_is_on_disk_before_the_app_is_given_it_by_one_flush(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, on_disk = os.fdatasync, list[set[str]]()

    def flushed(file: int) -> None:
        flush(file)
        on_disk.append(set((folder / RUN / "journal").read_text().split()))

    monkeypatch.setattr(os, "fdatasync", flushed)
    grid, _, _ = grid_of({node: 1 if node < 48 else 3 for node in range(64)}, journal)
    waiting, given = set(grid.push_messages(instructions(range(64)))), set[str]()
    for look, (brought, flushes) in enumerate([(48, 1), (0, 1), (16, 2)], start=1):
        fresh = {reply.metadata.reply_to_message_id for reply in grid.pull_messages(waiting)}
        waiting, given = waiting - fresh, given | fresh
        assert (len(fresh), len(on_disk)) == (brought, flushes), f"look {look}"
        assert on_disk[-1] == given


def test_of_what_comes_when_the_hub_has_ended_the_run_the_app_is_given_nothing(journal: Journal, folder: Path) -> None:
    grid, reports, _ = grid_of({7: 1, 8: 2, 9: 2}, journal)
    waiting = list(grid.push_messages(instructions([7, 8, 9])))
    assert len(list(grid.pull_messages(waiting))) == 1
    journals, before = Journals(folder), len(reports)
    assert asyncio.run(journals.close(RUN)) == ["m0"]
    with pytest.raises(Rejected, match="the run has ended"):
        grid.pull_messages(waiting[1:])
    assert asyncio.run(journals.close(RUN)) == ["m0"]
    assert len(reports) == before


def test_of_a_result_its_name_its_bytes_and_its_examples_are_told(journal: Journal) -> None:
    grid, reports, inner = grid_of({7: 1}, journal)
    arrays = ArrayRecord({"w": Array(np.zeros((10, 10), np.float32)), "b": Array(np.zeros(10, np.float32))})
    inner.content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 128, "loss": 0.5})})
    (reply,) = grid.send_and_receive(instructions([7]))
    told = reports[-1]
    assert isinstance(told, ReplyReceived)
    assert told.content is not None
    assert told.content.sha256 == reply.metadata.message_id
    assert 440 <= told.content.size < 1000, "with the heads of two arrays"
    assert told.content.weight == 128.0


# ---- the plan's rules ----


def planned(after: dict[int, int], journal: Journal, rules: RoundRules, folding: Folding | None = None) -> Any:
    reports: list[RunReport] = []
    inner = LaterGrid(after)
    inner.content = trained(1.0)
    asked = Instructions("run-1")
    grid = RoundGrid(inner, journal, reports.append, Roster(dict, wait=60.0), asked, rules, folding=folding)
    return grid, reports, inner


def trained(value: float, samples: float = 10, name: str = "w", **metrics: float) -> RecordDict:
    arrays = ArrayRecord({name: Array(np.full(4, value, np.float32))})
    return RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": samples, **metrics})})


def per_class(values: list[float]) -> RecordDict:
    return RecordDict({**trained(1.0), "metrics": MetricRecord({"num-examples": 10, "per-class": values})})


def trees(content: bytes) -> RecordDict:
    arrays = ArrayRecord([np.frombuffer(content, np.uint8)])
    return RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 10})})


SAMPLES = MetricRecord({"num-examples": 10})
TREES = (
    b'{"learner": {"gradient_booster": {"model": {"gbtree_model_param": {"num_trees": "1", "num_parallel_tree": "1"},'
    b' "iteration_indptr": [0, 1], "trees": [{"id": 0}], "tree_info": [0]}}}}'
)


def training(nodes: Iterable[int], number: int, value: float = 0.0) -> list[Message]:
    arrays = ArrayRecord({"w": Array(np.full(4, value, np.float32))})
    content = RecordDict({"arrays": arrays, "config": ConfigRecord({"server-round": number})})
    return [Message(content, dst_node_id=node, message_type="train") for node in nodes]


def test_a_round_that_too_few_have_answered_is_void_and_their_replies_are_late(journal: Journal) -> None:
    grid, reports, _ = planned({1: 1, 2: 1, 3: 1_000, 4: 1_000}, journal, RoundRules(deadline=0.3, quorum=0.75))
    grid.hold()
    assert grid.send_and_receive(training([1, 2, 3, 4], 1)) == []
    assert grid.void == "the round is void: 2 results of 4 devices asked, its quorum is 3"
    assert grid.untaken() == []
    assert reports[-1] == RepliesMissed(messages=["m0", "m1"], reason=grid.void)


def test_more_devices_are_asked_than_the_strategy_chose_and_the_first_enough_end_the_round(journal: Journal) -> None:
    grid, reports, _ = planned({1: 1, 2: 1_000, 3: 1, 4: 1}, journal, RoundRules(over_sample=1.0))
    replies = grid.send_and_receive(training([1, 2], 1))
    assert len(replies) >= 2
    assert {reply.metadata.src_node_id for reply in replies} <= {1, 3, 4}
    assert sorted(reports[0].nodes) == ["1", "2", "3", "4"]
    assert reports[-1].reason == "its round had its 2 results before"


def test_a_reply_that_is_refused_is_none_of_the_results_that_end_a_round(journal: Journal) -> None:
    grid, reports, inner = planned({1: 0, 2: 0, 3: 4, 4: 1_000}, journal, RoundRules(over_sample=1.0))
    answers(inner, {1: trained(float("nan")), 2: trained(1.0), 3: trained(1.0)})
    replies = grid.send_and_receive(training([1, 2], 1))
    assert [reply.metadata.src_node_id for reply in replies if reply.has_content()] == [2, 3]
    assert reports[-1] == ReplyRefused(
        round=1, phase="train", node="1", message="m0", reason="w holds NaN (4 of 4 values are not finite)"
    )


def test_devices_of_the_roster_that_are_barred_are_not_there(journal: Journal) -> None:
    facts = {7: NodeFacts(node="7", device_id=DeviceId("dev-7"), agent=True, barred="its site is Bern")}
    clock = iter([0.0, 1.0, 2.0, 70.0])
    roster = Roster(lambda: facts, wait=1.5, clock=lambda: next(clock))
    assert roster.taking_part([8, 7]) == [8]
    assert roster.taking_part([7]) == []
    with pytest.raises(Rejected, match=r"too few devices for 1.5 s: 0 of the 1 online.*dev-7: its site is Bern"):
        roster.taking_part([7])
    assert roster.taking_part([7]) == [], "nobody had waited meanwhile"


def test_while_the_hub_does_not_answer_the_devices_of_before_take_part() -> None:
    facts = {7: NodeFacts(node="7", device_id=DeviceId("dev-7"), agent=True, barred="its site is Bern")}
    answers, clock = [facts], iter([0.0, 2.0])

    def ask() -> dict[int, NodeFacts]:
        if not answers:
            raise Unavailable("HTTP status 503")
        return answers.pop()

    roster = Roster(ask, wait=60.0, clock=lambda: next(clock))
    assert roster.taking_part([7, 8]) == [8]
    assert roster.taking_part([7, 8]) == [8]
    with pytest.raises(Unavailable):
        Roster(ask, wait=60.0).taking_part([7, 8])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (trained(float("nan")), "w holds NaN (4 of 4 values are not finite)"),
        (trained(3e38), "w holds 3e+38, too large to be averaged"),
        (
            RecordDict({"arrays": ArrayRecord({"w": Array(np.zeros(4, np.int8))}), "metrics": SAMPLES}),
            "w is float64 [4], sent as int8, the others' is float32 [4]",
        ),
        (trained(1.0, samples=0), "stands on 0 samples"),
        (trained(1.0, samples=1e9), "claims 1e+09 samples"),
        (trained(1.0, name="v"), "it has 'v', which the others do not have"),
        (trained(1.0, loss=0.5), "it has the metric 'loss', which the others do not have"),
        (RecordDict({"weights": trained(1.0)["arrays"], "metrics": SAMPLES}), "it has the record 'weights', which"),
        (RecordDict({"arrays": trained(1.0)["arrays"], "more": SAMPLES}), "it has the record 'more', which the"),
        (RecordDict({"a": SAMPLES, **trained(1.0)}), "it has 2 metric records, not one"),
        (
            RecordDict({"arrays": trained(1.0)["arrays"], "metrics": MetricRecord()}),
            "it lacks the metric 'num-examples'",
        ),
        (RecordDict({"metrics": SAMPLES}), "it has 0 array records, not one"),
        (trained(1.0, name="w" * 1000, samples=1), "it has '" + "w" * 80 + "', which the others do not have"),
        (
            RecordDict(
                {"arrays": ArrayRecord([np.zeros((2, 2), np.float32)]), "metrics": MetricRecord({"num-examples": 1})}
            ),
            "which the others do not have",
        ),
    ],
)
def test_a_reply_that_no_aggregate_can_use_is_refused_and_the_round_goes_on(
    journal: Journal, content: RecordDict, reason: str
) -> None:
    grid, reports, inner = planned({1: 1, 2: 1, 3: 1}, journal, RoundRules())
    grid.hold(demands_of(FedAvg()))
    answer = inner._reply
    inner._reply = lambda message: (
        Message(content, reply_to=message) if message.metadata.dst_node_id == 2 else answer(message)
    )
    replies = grid.send_and_receive(training([1, 2, 3], 1))
    assert [reply.has_error() for reply in replies] == [False, True, False]
    assert reason in replies[1].error.reason
    (told,) = [report for report in reports if isinstance(report, ReplyRefused)]
    assert (told.node, told.message, told.round) == ("2", "m1", 1)


def answers(inner: Any, contents: dict[int, RecordDict]) -> None:
    """Of each node its own."""
    inner._reply = lambda message: Message(contents[message.metadata.dst_node_id], reply_to=message)


@pytest.mark.parametrize(
    ("strategy", "given", "others", "reason"),
    [
        (FedAvg(), trained(1.0, loss=float("nan")), trained(1.0, loss=0.5), "its metric 'loss' is not finite"),
        (FedAvg(), per_class([0.5]), per_class([0.5, 0.5]), "the metric per-class is a list of 1, the others' is"),
        (FedAvg(weighted_by_key="rows"), trained(1.0, rows=-1), trained(1.0, rows=1), "it stands on -1 samples"),
        (FedAvg(weighted_by_key="rows"), trained(1.0), trained(1.0, rows=1), "it lacks the metric 'rows'"),
        (QFedAvg(0.1), trained(1.0, train_loss=-1), trained(1.0, train_loss=1), "its train_loss is -1, not a loss"),
        (QFedAvg(0.1), trained(1.0), trained(1.0, train_loss=1), "it lacks the metric 'train_loss'"),
        (FedXgbBagging(), trees(b"{"), trees(TREES), "it holds no trees of XGBoost in JSON"),
        (FedXgbBagging(), trees(TREES.replace(b'"1"', b'"9"')), trees(TREES), "it adds 9 trees, and has 1"),
    ],
)
@pytest.mark.parametrize("honest", [1, 2])
def test_what_a_strategy_would_end_the_run_for_or_spoil_the_model_with_is_refused_of_one_device(
    journal: Journal, strategy: Strategy, given: RecordDict, others: RecordDict, reason: str, honest: int
) -> None:
    nodes = range(1, 2 + honest)
    grid, _, inner = planned(dict.fromkeys(nodes, 1), journal, RoundRules())
    grid.hold(demands_of(strategy))
    answers(inner, {1: given, 2: others, 3: copy.deepcopy(others)})
    messages = list(strategy.configure_train(1, copy.deepcopy(others.array_records["arrays"]), ConfigRecord(), grid))
    replies = grid.send_and_receive(messages)
    assert [reply.has_error() for reply in replies] == [True] + [False] * honest
    assert reason in replies[0].error.reason
    arrays, _ = strategy.aggregate_train(1, replies)
    assert arrays is not None
    assert all(np.isfinite(array).all() for array in arrays.to_numpy_ndarrays())


@pytest.mark.parametrize("kind", ["evaluate", "query"])
def test_the_only_device_of_an_evaluation_need_not_send_the_model_back(journal: Journal, kind: str) -> None:
    grid, _, inner = planned({1: 1}, journal, RoundRules())
    grid.hold(demands_of(FedAvg()))
    inner.content = RecordDict({"metrics": MetricRecord({"num-examples": 10, "accuracy": 0.5})})
    messages = [Message(asked.content, dst_node_id=1, message_type=kind) for asked in training([1], 1)]
    assert [reply.has_error() for reply in grid.send_and_receive(messages)] == [False]


def test_what_no_device_sends_is_the_apps_fault_which_its_strategy_says_at_once(journal: Journal) -> None:
    grid, _, inner = planned({1: 1, 2: 1}, journal, RoundRules())
    grid.hold(demands_of(FedAvg(weighted_by_key="rows")))
    assert not any(reply.has_error() for reply in grid.send_and_receive(training([1, 2], 1)))
    inner.content = trained(1.0, loss=float("nan"))
    assert not any(reply.has_error() for reply in grid.send_and_receive(training([1, 2], 2)))


@pytest.mark.parametrize(
    ("late", "reason"),
    [
        (RecordDict({"arrays": ArrayRecord({"w": Array(np.zeros(5, np.float32))}), "metrics": SAMPLES}), "the shape 5"),
        (RecordDict({"arrays": ArrayRecord({"w": Array(np.zeros(1, np.float32))}), "metrics": SAMPLES}), "the shape 1"),
        (RecordDict({"arrays": ArrayRecord({"w": Array(np.zeros(4, complex))}), "metrics": SAMPLES}), "complex128"),
        (RecordDict({"arrays": ArrayRecord({"w": Array(np.array(["a"] * 4))}), "metrics": SAMPLES}), "not numbers"),
        (trained(float("inf")), "w holds an infinity (4 of 4 values"),
        (trained(1.0, samples=0), "it stands on 0 samples"),
    ],
)
def test_a_late_reply_that_does_not_fit_is_refused_as_any_other_and_ends_no_run(
    journal: Journal, late: RecordDict, reason: str
) -> None:
    grid, reports, inner = planned({1: 0, 2: 1_000}, journal, RoundRules(deadline=0.2), Folding(rounds=2))
    grid.hold(demands_of(FedAvg()))
    answers(inner, {1: trained(1.0), 2: late})
    grid.send_and_receive(training([1, 2], 1))
    inner.after[2] = 0
    assert [reply.metadata.src_node_id for reply in grid.send_and_receive(training([1], 2))] == [1]
    (told,) = [report for report in reports if isinstance(report, ReplyRefused)]
    assert (told.node, told.message) == ("2", "m1")
    assert reason in told.reason


def test_a_late_reply_has_less_of_whatever_its_strategy_weighs_by(journal: Journal) -> None:
    grid, _, inner = planned({1: 0, 2: 1_000}, journal, RoundRules(deadline=0.2), Folding(exponent=1.0, rounds=2))
    grid.hold(demands_of(FedAvg(weighted_by_key="rows")))
    inner.content = trained(1.0, rows=8)
    grid.send_and_receive(training([1, 2], 1))
    inner.after[2] = 0
    replies = grid.send_and_receive(training([1], 2))
    assert [reply.content["metrics"]["rows"] for reply in replies] == [8, 4.0]


def test_a_device_whose_model_is_of_32_bits_answers_a_strategy_that_makes_64_of_it(journal: Journal) -> None:
    grid, _, _ = planned({1: 1}, journal, RoundRules())
    (asked,) = training([1], 2)
    asked.content["arrays"] = ArrayRecord({"w": Array(np.zeros(4))})
    (reply,) = grid.send_and_receive([asked])
    assert reply.has_content()


def test_a_late_reply_joins_a_later_round_on_top_of_its_model_with_less_weight(journal: Journal) -> None:
    rules, folding = RoundRules(deadline=0.2), Folding(exponent=0.5, rounds=2)
    grid, reports, inner = planned({1: 0, 2: 1_000}, journal, rules, folding)
    inner.content = trained(3.0)
    grid.hold()
    (one,) = grid.send_and_receive(training([1, 2], 1, value=2.0))
    assert one.metadata.src_node_id == 1
    assert not any(isinstance(report, RepliesMissed) for report in reports), "it is still waited for"
    inner.after[2] = 0
    now, late = grid.send_and_receive(training([1], 2, value=10.0))
    assert (now.metadata.src_node_id, late.metadata.src_node_id) == (1, 2)
    assert late.content["arrays"].to_numpy_ndarrays()[0].tolist() == [11.0] * 4, "1 more than it began with"
    assert late.content["metrics"]["num-examples"] == pytest.approx(10 / 2**0.5)
    assert set(grid.untaken()) == {"m0", "m1", "m2"}


def test_a_reply_that_is_too_late_to_be_folded_in_is_missed(journal: Journal) -> None:
    rules, folding = RoundRules(deadline=0.2), Folding(rounds=1)
    grid, reports, _ = planned({1: 0, 2: 1_000}, journal, rules, folding)
    for number in (1, 2, 3):
        nodes = [1, 2] if number == 1 else [1]
        assert len(grid.send_and_receive(training(nodes, number))) == 1
    assert reports[-1] != reports[0]
    assert RepliesMissed(messages=["m1"], reason="it is too late to be folded in") in reports


def test_a_reply_of_another_round_or_run_is_refused(journal: Journal) -> None:
    grid, reports, inner = planned({1: 1}, journal, RoundRules())
    account = encode(Account(run_id="run-2", round=1))
    inner.content = RecordDict({**trained(1.0), RECORD: ConfigRecord({ACCOUNT: account})})
    (reply,) = grid.send_and_receive(training([1], 1))
    assert "a reply of round 1 of run-2" in reply.error.reason
    assert any(isinstance(report, ReplyRefused) for report in reports)


@pytest.mark.parametrize("quorum", [0.0, 1.0])
def test_a_late_reply_that_failed_or_meets_a_void_round_ends_no_run(journal: Journal, quorum: float) -> None:
    rules, folding = RoundRules(deadline=0.2, quorum=quorum), Folding(rounds=5)
    grid, reports, inner = planned({1: 0, 2: 1_000, 3: 1_000}, journal, rules, folding)
    grid.hold()
    grid.send_and_receive(training([1, 2], 1))
    inner.after[2] = -1 if quorum == 0.0 else 0
    found = grid.send_and_receive(training([1, 3], 2))
    assert [reply.metadata.src_node_id for reply in found] == ([1] if quorum == 0.0 else [])
    assert any(isinstance(report, RepliesMissed) and "m1" in report.messages for report in reports)
    assert "m1" not in grid.untaken()
