"""On a disk that is really full (a small tmpfs) the outbox goes on acking and shedding, and recovers by itself."""

import asyncio
import os
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from agent_rig import Agent, eventually
from full_disk import fill, small_disk
from msgspec import Struct

from flip_agent.outbox.outbox import Outbox
from flip_runtime.errors import Unavailable
from flip_wire.telemetry import Event, Gap, Priority, Seq
from outboxes import running

pytestmark = pytest.mark.asyncio

DISK = 6 * 2**20
CHANCE = random.Random(3)


class Line(Struct, frozen=True):
    number: int
    text: str


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    with small_disk(folder / "disk", DISK) as place:
        yield place


class Books:
    """What was accepted, and what of it arrived or was declared dropped."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.produced = 0
        self.taken: list[Event] = []

    async def produce(self, count: int, priority: Priority = Priority.LOG) -> int:
        """How many were refused."""
        bodies = [Line(self.produced + number, CHANCE.randbytes(500).hex()) for number in range(count)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._append(priority, body)) for body in bodies]
        accepted = sum(task.result() is not None for task in tasks)
        self.produced += accepted
        return count - accepted

    async def _append(self, priority: Priority, body: Line) -> Seq | None:
        try:
            return await self.outbox.append(priority, "log", body)
        except Unavailable:
            return None

    async def deliver(self, batches: int | None = None) -> None:
        while batches != 0 and (batch := await self.outbox.next_batch()):
            self.taken += batch.events
            await self.outbox.ack(batch.priority, batch.events[-1].seq)
            batches = None if batches is None else batches - 1

    def check(self) -> None:
        arrived = [event.seq for event in self.taken if event.kind == "log"]
        gaps = [msgspec.json.decode(event.body, type=Gap) for event in self.taken if event.kind == "gap"]
        assert len(arrived) == len(set(arrived))
        assert self.produced == len(arrived) + sum(gap.count for gap in gaps)


async def test_the_outbox_fills_its_disk_and_goes_on_with_the_newest(disk: Path) -> None:
    async with running(disk / "outbox.db", max_bytes=64 * 2**20, within=120.0) as outbox:
        books = Books(outbox)
        for _ in range(30):
            assert await books.produce(500) == 0
        assert await outbox.dropped() > 0
        assert not (disk / "outbox.ballast").exists()
        await books.deliver()
        books.check()


async def test_a_disk_that_somebody_else_has_filled_stops_neither_acks_nor_alerts(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flip_agent.outbox.ballast._LOOK_EVERY", 0.0)
    async with running(disk / "outbox.db", max_bytes=64 * 2**20, within=120.0) as outbox:
        books = Books(outbox)
        await books.produce(2000)
        greedy = fill(disk)
        assert os.statvfs(disk).f_bavail == 0
        for _ in range(20):
            assert await books.produce(50, Priority.ALERT) == 0
            assert await books.produce(100) == 0
            await books.deliver(1)
        assert not (disk / "outbox.ballast").exists()
        await books.deliver()
        books.check()
        greedy.unlink()
        await books.produce(1)
        assert (disk / "outbox.ballast").stat().st_size == 2**20
        await books.produce(1000)
        assert await outbox.depth() == 1001
        await books.deliver()
        books.check()


async def test_an_agent_that_restarts_on_a_full_disk_goes_on(disk: Path) -> None:
    async with running(disk / "outbox.db", max_bytes=64 * 2**20, within=120.0) as outbox:
        books = Books(outbox)
        await books.produce(1000)
    fill(disk)
    for _ in range(3):
        async with running(disk / "outbox.db", max_bytes=64 * 2**20, within=120.0) as outbox:
            books.outbox = outbox
            assert await books.produce(1000) == 0
            await books.deliver(2)
    async with running(disk / "outbox.db", max_bytes=64 * 2**20, within=120.0) as outbox:
        books.outbox = outbox
        await books.deliver()
        books.check()


async def test_an_agent_that_is_first_started_on_a_full_disk_waits_for_room(disk: Path, folder: Path) -> None:
    (disk / "filler").write_bytes(bytes(DISK - 4096))
    agent = Agent(folder, state=str(disk / "state"))
    with agent.running() as process:
        await eventually(lambda: "no outbox yet" in agent.log.read_text())
        (disk / "filler").unlink()
        await eventually(lambda: agent.status() is not None, within=60.0)
        process.terminate()
        assert await asyncio.to_thread(process.wait, 30) == 0
