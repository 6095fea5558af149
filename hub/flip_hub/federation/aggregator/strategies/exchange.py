"""Instructions to devices and their answers, over any Flower Grid, for a run without rounds."""

import logging
import math
import random
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from flwr.app import ArrayRecord, Message, MessageType, MetricRecord
from flwr.serverapp import Grid

from flip_hub.federation.aggregator.clock import Clock
from flip_hub.federation.aggregator.strategies.bases import Bases, record_of
from flip_hub.federation.aggregator.strategies.evaluation import Evaluation
from flip_hub.federation.aggregator.strategies.steps import Work
from flip_hub.federation.aggregator.strategies.tasks import Task, Tasks
from flip_runtime.errors import Corrupt

if TYPE_CHECKING:
    from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff

log = logging.getLogger("flwr.flip")

_ROLL_CALL = 5.0
"""Seconds after which it is looked anew who is connected."""


class Exchange:
    def __init__(self, strategy: "FedBuff", grid: Grid, work: Work, bases: Bases, clock: Clock) -> None:
        self._strategy = strategy
        self._grid = grid
        self._work = work
        self._bases = bases
        self._clock = clock
        self.tasks = Tasks(strategy.limits, strategy.asked, strategy.answered)
        self.evaluation: Evaluation | None = None
        self.online: list[int] = []
        """Nodes that are connected."""
        self._called_at = -math.inf

    def ask(self, version: int, arrays: ArrayRecord, draw: random.Random) -> None:
        """Whoever is free, to train from that version of the model."""
        now = self._clock.now()
        online = self._roll_call(now)
        if not self.tasks.out and len(online) < self._strategy.min_available_nodes:
            return
        free, count = self.tasks.to_ask(online, version, now)
        by_version: dict[int, list[int]] = {}
        for node in _some(free, count, draw):
            by_version.setdefault(self.tasks.version_for(node, version), []).append(node)
        for before, nodes in sorted(by_version.items()):
            base, given = (version, arrays) if before == version else self._base(before, version, arrays)
            messages = self._strategy.messages(MessageType.TRAIN, base + 1, given, self._work.train_config, nodes)
            for message_id, node in self._pushed(messages, nodes):
                self.tasks.sent(Task(message_id=message_id, node=node, version=base, sent_at=now))

    def ask_to_evaluate(
        self, step: int, arrays: ArrayRecord, of_hub: MetricRecord | None, draw: random.Random
    ) -> Evaluation:
        """As many as the strategy wants; those that are at work, which answer after it, only where the others are too
        few."""
        now = self._clock.now()
        online, busy = self._roll_call(now), self.tasks.busy(now)
        share = self._strategy.fraction_evaluate
        wanted = max(int(len(online) * share), self._strategy.min_evaluate_nodes) if share else 0
        idle, at_work = ([node for node in online if (node in busy) is which] for which in (False, True))
        nodes = _some(idle, min(wanted, len(idle)), draw)
        nodes += _some(at_work, min(wanted - len(nodes), len(at_work)), draw)
        messages = self._strategy.messages(MessageType.EVALUATE, step, arrays, self._work.evaluate_config, nodes)
        until = now + min(self._strategy.patience, self._work.timeout)
        return Evaluation(step, of_hub, dict(self._pushed(messages, nodes)), until)

    def answers(self) -> list[tuple[Task, Message]]:
        """Those to `train` that came since the last look, by node; the others go to the evaluation.

        It looks for those of connected nodes alone: in the place of another, Flower would answer that it is away, and
        would not take what the device sends when it is back.
        """
        online = set(self.online)
        wanted = [task.message_id for task in self.tasks.out.values() if task.node in online]
        if self.evaluation is not None:
            wanted += [message_id for message_id, node in self.evaluation.waiting.items() if node in online]
        if not wanted:
            return []
        found: list[tuple[Task, Message]] = []
        for reply in sorted(self._grid.pull_messages(wanted), key=lambda each: each.metadata.src_node_id):
            task = self.tasks.came(reply.metadata.reply_to_message_id)
            if task is not None:
                found.append((task, reply))
            elif self.evaluation is not None:
                self.evaluation.came(reply)
        return found

    def _base(self, before: int, version: int, arrays: ArrayRecord) -> tuple[int, ArrayRecord]:
        try:
            return before, record_of(self._bases.arrays(before))
        except Corrupt as error:
            log.warning("devices are given the current model: %s", error)
            return version, arrays

    def _pushed(self, messages: Sequence[Message], nodes: Iterable[int]) -> list[tuple[str, int]]:
        ids = self._grid.push_messages(messages) if messages else ()
        return [(message_id, node) for message_id, node in zip(ids, nodes, strict=False) if message_id]

    def _roll_call(self, now: float) -> list[int]:
        if now - self._called_at >= _ROLL_CALL:
            self.online, self._called_at = sorted(self._grid.get_node_ids()), now
        return self.online


def _some(nodes: Sequence[int], count: int, draw: random.Random) -> list[int]:
    return list(nodes) if count == len(nodes) else sorted(draw.sample(nodes, count))
