"""A disk that cuts or flips what was written: never a wrong event, and what is lost is declared as far as is known."""

import asyncio
import random
import shutil
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from flip_agent.outbox.outbox import Outbox
from flip_wire.telemetry import Event, Gap, Priority, Seq
from outboxes import running

pytestmark = pytest.mark.asyncio

CASES = 200
CHANCE = random.Random(11)


class Line(Struct, frozen=True):
    number: int
    text: str


class Original:
    """An outbox with some of its events delivered, as files that can be spoiled and restored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, bytes] = {}
        self.events: dict[Seq, tuple[Priority, Line]] = {}
        self.acked = Seq(0)

    async def make(self, *, with_log: bool) -> None:
        async with running(self.folder / "outbox.db", ballast=0, within=60.0) as outbox:
            for commit in range(30):
                priority = (Priority.FEDERATION, Priority.HEALTH, Priority.LOG)[commit % 3]
                async with asyncio.TaskGroup() as group:
                    for _ in range(CHANCE.randint(1, 12)):
                        group.create_task(self._append(outbox, priority))
                if commit == 14:
                    batch = await outbox.next_batch(20)
                    assert batch is not None
                    self.acked = batch.events[-1].seq
                    await outbox.ack(batch.priority, self.acked)
            if with_log:
                self._copy()
        if not with_log:
            self._copy()

    def waiting(self) -> list[Seq]:
        return [
            seq for seq, (priority, _) in self.events.items() if priority != Priority.FEDERATION or seq > self.acked
        ]

    def restore(self) -> Path:
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        for name, content in self.files.items():
            (self.folder / name).write_bytes(content)
        return self.folder / "outbox.db"

    def check(self, taken: list[Event]) -> list[Seq]:
        """Every event is one that was accepted, word for word; gives their numbers."""
        lines = [event for event in taken if event.kind == "line"]
        for event in lines:
            assert msgspec.json.decode(event.body, type=Line) == self.events[event.seq][1]
        seqs = [event.seq for event in lines]
        assert len(seqs) == len(set(seqs))
        return seqs

    async def _append(self, outbox: Outbox, priority: Priority) -> None:
        line = Line(CHANCE.getrandbits(40), CHANCE.randbytes(CHANCE.choice([20, 400])).hex())
        self.events[await outbox.append(priority, "line", line)] = priority, line

    def _copy(self) -> None:
        self.files = {file.name: file.read_bytes() for file in self.folder.iterdir()}


async def drained(path: Path) -> list[Event]:
    taken: list[Event] = []
    async with running(path, ballast=0, within=60.0) as outbox:
        await outbox.append(Priority.LOG, "after", Line(0, ""))
        while batch := await outbox.next_batch():
            taken += batch.events
            await outbox.ack(batch.priority, batch.events[-1].seq)
    return taken


async def test_a_torn_log_leaves_a_clean_beginning(folder: Path) -> None:
    original = Original(folder / "outbox")
    original.folder.mkdir()
    await original.make(with_log=True)
    log = original.files["outbox.db-wal"]
    for _ in range(CASES):
        path = original.restore()
        Path(f"{path}-wal").write_bytes(log[: CHANCE.randrange(len(log))])
        taken = await drained(path)
        seqs = original.check(taken)
        last = max(seqs, default=0)
        expected = {seq for seq in original.events if seq <= last}
        assert expected - set(seqs) <= expected - set(original.waiting()), "only what was delivered may be missing"
        (after,) = [event.seq for event in taken if event.kind == "after"]
        assert after > max(original.events), "no number is given twice, whatever was cut off"


async def test_a_flipped_bit_never_changes_an_event_and_what_is_lost_is_declared(folder: Path) -> None:
    original = Original(folder / "outbox")
    original.folder.mkdir()
    await original.make(with_log=False)
    content = original.files["outbox.db"]
    waiting, hurt = set(original.waiting()), 0
    for _ in range(CASES):
        spoilt = bytearray(content)
        spoilt[CHANCE.randrange(len(spoilt))] ^= 1 << CHANCE.randrange(8)
        path = original.restore()
        path.write_bytes(spoilt)
        taken = await drained(path)
        seqs = original.check(taken)
        gaps = [msgspec.json.decode(event.body, type=Gap) for event in taken if event.kind == "gap"]
        hurt += bool(gaps)
        if not any("number unknown" in gap.reason for gap in gaps):
            assert set(seqs) <= waiting
            assert len(waiting) == len(seqs) + sum(gap.count for gap in gaps)
    assert hurt > CASES // 4
