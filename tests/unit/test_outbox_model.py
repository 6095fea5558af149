"""Whatever is done to an outbox in whatever order, it does what lists in memory would do."""

import asyncio
import random
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import Struct

from flip_agent.outbox.outbox import Outbox
from flip_wire.telemetry import Batch, Gap, Priority

SMALL = 96 * 2**10
"""Bytes of the file, so that it is full now and then."""
PRIORITIES = st.sampled_from([Priority.FEDERATION, Priority.HEALTH, Priority.LOG])
CHANCE = random.Random(5)


class Line(Struct, frozen=True):
    number: int
    filling: str


class Books(RuleBasedStateMachine):
    """Each event is waiting, at the hub, or declared dropped: the model is which number it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="flip-"))
        self.runner = asyncio.Runner()
        self.produced: dict[Priority, list[int]] = defaultdict(list)
        self.delivered: dict[Priority, list[int]] = defaultdict(list)
        self.declared: dict[Priority, int] = defaultdict(int)
        self.names: dict[str, int] = {}
        self.number = 0
        self.on_its_way: Batch | None = None
        self.outbox, self.committer = self.runner.run(self._open())

    async def _open(self) -> tuple[Outbox, asyncio.Task[None]]:
        outbox = await Outbox.open(self.folder / "outbox.db", max_bytes=SMALL, ballast=0)
        return outbox, asyncio.create_task(outbox.run())

    @rule(priority=PRIORITIES, count=st.integers(1, 30), size=st.sampled_from([10, 300, 3000]))
    def append(self, priority: Priority, count: int, size: int) -> None:
        async def together() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(count):
                    self.number += 1
                    body = Line(self.number, CHANCE.randbytes(size // 2).hex())
                    self.produced[priority].append(self.number)
                    group.create_task(self.outbox.append(priority, "line", body))

        self.runner.run(together())

    @rule(name=st.sampled_from(["a", "b", "c"]))
    def append_once(self, name: str) -> None:
        if name not in self.names:
            self.number += 1
            self.produced[Priority.FEDERATION].append(self.number)
        body = Line(self.number, "")
        seq = self.runner.run(self.outbox.append(Priority.FEDERATION, "line", body, once=name))
        assert self.names.setdefault(name, seq) == seq

    @rule(limit=st.integers(1, 60))
    def send(self, limit: int) -> None:
        batch = self.runner.run(self.outbox.next_batch(limit))
        if self.on_its_way is not None and batch is not None and batch.priority == self.on_its_way.priority:
            assert batch.events[0].seq == self.on_its_way.events[0].seq, "what was sent waits until it is answered"
        self.on_its_way = batch

    @precondition(lambda self: self.on_its_way is not None)
    @rule(share=st.floats(0.01, 1.0))
    def take(self, share: float) -> None:
        assert self.on_its_way is not None
        batch, self.on_its_way = self.on_its_way, None
        taken = batch.events[: max(1, round(share * len(batch.events)))]
        for event in taken:
            if event.kind == "gap":
                gap = msgspec.json.decode(event.body, type=Gap)
                self.declared[gap.priority] += gap.count
            else:
                self.delivered[batch.priority].append(msgspec.json.decode(event.body, type=Line).number)
        self.runner.run(self.outbox.ack(batch.priority, taken[-1].seq))

    @precondition(lambda self: self.on_its_way is not None and self.on_its_way.priority != Priority.ALERT)
    @rule()
    def refuse(self) -> None:
        assert self.on_its_way is not None
        batch, self.on_its_way = self.on_its_way, None
        self.runner.run(self.outbox.reject(batch.priority, batch.events[0].seq, "no"))

    @rule(crash=st.booleans())
    def reopen(self, crash: bool) -> None:
        before = Path(tempfile.mkdtemp(prefix="flip-"))
        shutil.copytree(self.folder, before, dirs_exist_ok=True)
        self.committer.cancel()
        self.on_its_way = None
        self.runner.run(self._close())
        if crash:
            self.folder, before = before, self.folder  # as the disk was before the end, with its log
        shutil.rmtree(before)
        self.outbox, self.committer = self.runner.run(self._open())

    async def _close(self) -> None:
        await asyncio.gather(self.committer, return_exceptions=True)
        await self.outbox.close()

    @invariant()
    def the_accounts_are_right(self) -> None:
        gone = sum(len(numbers) for numbers in self.delivered.values()) + self.runner.run(self.outbox.dropped())
        produced = sum(len(numbers) for numbers in self.produced.values())
        alerts = len(self.runner.run(self.outbox.peek(Priority.ALERT, 256)))
        assert produced == gone + self.runner.run(self.outbox.depth()) - alerts

    def teardown(self) -> None:
        while self.runner.run(self.outbox.depth()):
            self.send(256)
            self.take(1.0)
        for priority, numbers in self.produced.items():
            arrived = self.delivered[priority]
            assert arrived == sorted(set(arrived)), "in order, each once"
            assert set(arrived) <= set(numbers)
            assert len(numbers) == len(arrived) + self.declared[priority]
        self.committer.cancel()
        self.runner.run(self._close())
        self.runner.close()
        shutil.rmtree(self.folder)


TestBooks = Books.TestCase
TestBooks.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
