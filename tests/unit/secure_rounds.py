"""Rounds of secure aggregation without a network: the mods of real devices, and a Grid that loses what it shall."""

from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.app.error import Error
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Result, Strategy
from test_federation_rounds import Heard, Killed

from flip_agent.federation.flower import context, context_state
from flip_agent.federation.mods.chain import chain, mods_of
from flip_hub.federation.aggregator.grid import RoundGrid
from flip_hub.federation.aggregator.instructions import Instructions
from flip_hub.federation.aggregator.privacy.asked import Asked
from flip_hub.federation.aggregator.privacy.ledger import Ledger
from flip_hub.federation.aggregator.progress_reports import ProgressReports
from flip_hub.federation.aggregator.roster import Roster
from flip_hub.federation.aggregator.rounds import Conductor
from flip_hub.federation.aggregator.saved import Saved
from flip_hub.federation.aggregator.secure.rounds import SecureRounds
from flip_hub.federation.aggregator.versions import VersionMaker
from flip_hub.federation.brief import NodeFacts
from flip_hub.federation.journal import Journal
from flip_hub.federation.plan import Plan
from flip_hub.federation.privacy.on_devices import on_devices
from flip_hub.federation.schemas import RoundFinished
from flip_hub.federation.secure.rules import strangers
from flip_hub.federation.secure.schemas import SecureAggregation
from flip_update.secagg.messages import question_of
from flip_wire.fleet import DeviceId
from flip_wire.terms import QUESTION, RECORD, SECURE, TERMS, decode_terms

RUN = "run-1"
SECURE_PLAN = SecureAggregation(most=8, dropout=0.34, max_weight=100)
Loses = Collection[tuple[int, str, int]]
"""Round, question and node of answers that do not come."""
MODEL = {"weights": np.linspace(-1, 1, 10, dtype=np.float32).reshape(2, 5), "bias": np.zeros(3, np.float64)}
FIRST = 10


def weight(node: int) -> int:
    return node


def trained(node: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a device makes of the model."""
    return {name: (array + 0.01 * node * np.cos(array)).astype(array.dtype) for name, array in given.items()}


class Fleet(Grid):
    """Devices with their states; a device answers an instruction once, and keeps the answer."""

    def __init__(self, devices: int = 8, loses: Loses = (), dies_at: int = -1) -> None:
        """Before the `dies_at`-th exchange the hub is killed."""
        self.nodes = list(range(FIRST, FIRST + devices))
        self.loses = loses
        self.left = dies_at
        self.states = dict.fromkeys(self.nodes, b"")
        self.sent: dict[str, Message] = {}
        self.replies: list[Message] = []
        self.seen: list[tuple[int, str, int]] = []
        """What the apps were called for: round, kind and node."""
        self.weigh: dict[int, Any] = {}
        self.errors: dict[int, str] = {}

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def set_run(self, run: Any) -> None: ...

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        raise NotImplementedError

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return self.nodes

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        if self.left == 0:
            raise Killed
        self.left -= 1
        ids: list[str] = []
        for message in messages:
            ids.append(f"m{len(self.sent)}")
            message.metadata.__dict__["_message_id"] = ids[-1]
            self.sent[ids[-1]] = message
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        found = [reply for key in list(message_ids) if (reply := self._answer(self.sent[key])) is not None]
        self.replies += found
        return found

    def _answer(self, message: Message) -> Message | None:
        number, node = message.content.config_records["config"]["server-round"], message.metadata.dst_node_id
        question = message.content.config_records[SECURE][QUESTION]
        assert isinstance(number, int)
        assert isinstance(question, bytes)
        if (number, type(question_of(question)).__name__, node) in self.loses:
            return None
        told = message.content.config_records[RECORD][TERMS]
        assert isinstance(told, bytes)
        around = context(run_id="1", node_id=str(node), node_config={}, run_config={}, state=self.states[node])
        try:
            reply = chain(self._app, mods_of(decode_terms(told)))(message, around)
        except Exception as error:  # as the worker does
            return Message(Error(code=1, reason=f"{type(error).__name__}: {error}"), reply_to=message)
        self.states[node] = context_state(around)
        return reply

    def _app(self, message: Message, around: Context) -> Message:
        number, node = message.content.config_records["config"]["server-round"], message.metadata.dst_node_id
        assert isinstance(number, int)
        assert set(message.content) == {"arrays", "config"}
        assert SECURE not in around.state
        self.seen.append((number, message.metadata.message_type, node))
        if node in self.errors:
            raise ValueError(self.errors[node])
        given = {name: array.numpy() for name, array in message.content.array_records["arrays"].items()}
        arrays = ArrayRecord({name: Array(array) for name, array in trained(node, given).items()})
        metrics = MetricRecord({"num-examples": self.weigh.get(node, weight(node)), "loss": 0.5})
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


class SecureRun:
    """Its processes, one after another; what is on the disk in `folder` is of those before."""

    def __init__(self, folder: Path, plan: Plan | None = None, agents: int = 50) -> None:
        (folder / "pyproject.toml").write_text('[project]\nname = "app"\n')
        self._folder = folder
        self.plan = Plan(secure=SECURE_PLAN) if plan is None else plan
        self._facts = {n: NodeFacts(node=str(n), device_id=DeviceId(f"d{n}"), agent=True) for n in range(agents)}
        self.heard = Heard()

    @contextmanager
    def process(self, grid: Fleet) -> Generator[RoundGrid]:
        plan = self.plan
        assert plan.secure is not None
        journal = Journal(self._folder / RUN)
        roster = Roster(lambda: self._facts, wait=2.0, strangers=strangers(plan))
        instructions = Instructions(RUN, plan.update, plan.local, on_devices(plan.privacy), secure=True)
        ours = RoundGrid(grid, journal, self.heard.send, roster, instructions, plan.rounds, in_rounds="plan.secure")
        rounds = SecureRounds(
            RUN, plan.secure, ours, self.heard.send, journal.folder, rules=plan.rounds, local=plan.local
        )
        asked = Asked(journal.folder)
        ledger = plan.privacy and Ledger(plan.privacy, [], self.heard.send, refuse=ours.refuse, asked=asked)
        reports = ProgressReports(self.heard.send, VersionMaker(self._folder))
        conductor = Conductor(ours, Saved(journal), reports, seed=7, ledger=ledger, secure=rounds)
        try:
            with conductor.conducting():
                yield ours
        finally:
            journal.close()

    def start(self, grid: Fleet, rounds: int = 1, strategy: Strategy | None = None, timeout: float = 0.2) -> Result:
        with self.process(grid) as ours:
            return (strategy or FedAvg()).start(
                ours, model(), num_rounds=rounds, timeout=timeout, train_config=ConfigRecord()
            )

    def ends(self) -> list[RoundFinished]:
        return [report for report in self.heard.reports if isinstance(report, RoundFinished)]


def model() -> ArrayRecord:
    return ArrayRecord({name: Array(array) for name, array in MODEL.items()})


def mean_of(nodes: Iterable[int], given: Mapping[str, Any] = MODEL) -> dict[str, Any]:
    """As FedAvg's, in float64."""
    weights = {node: weight(node) for node in nodes}
    exact = {node: trained(node, given) for node in weights}
    total = sum(weights.values())
    return {name: sum(exact[node][name].astype(float) * w for node, w in weights.items()) / total for name in given}


def need_mean_of(result: Result, nodes: Iterable[int], rounds: int = 1) -> None:
    expected: Mapping[str, Any] = MODEL
    for _ in range(rounds):
        expected = mean_of(nodes, expected)
    for name, array in expected.items():
        assert np.abs(result.arrays[name].numpy() - array).max() < 1e-6 * rounds, name
