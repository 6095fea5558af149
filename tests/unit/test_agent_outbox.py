"""An event accepted by the outbox is delivered at least once, in order, or counted as dropped."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from flip_agent.outbox import DAMAGED, FULL, Outbox
from flip_wire.telemetry import Event, Gap, Priority, Seq

pytestmark = pytest.mark.asyncio


class Line(Struct, frozen=True):
    text: str


@asynccontextmanager
async def running(path: Path, max_bytes: int = 8 * 2**20) -> AsyncGenerator[Outbox]:
    outbox = await Outbox.open(path, max_bytes=max_bytes)
    committer = asyncio.create_task(outbox.run())
    try:
        async with asyncio.timeout(30):
            yield outbox
    finally:
        committer.cancel()
        await asyncio.gather(committer, return_exceptions=True)
        await outbox.close()


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "outbox.db"


async def fill(outbox: Outbox, priority: Priority, count: int, size: int = 1000) -> list[Seq]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outbox.append(priority, "log", Line("x" * size))) for _ in range(count)]
    return [task.result() for task in tasks]


def gap(event: Event) -> Gap:
    assert event.kind == "gap"
    return msgspec.json.decode(event.body, type=Gap)


async def test_events_are_given_back_in_order_and_whole(path: Path) -> None:
    async with running(path) as outbox:
        seqs = [await outbox.append(Priority.LOG, "log", Line(f"line {n}")) for n in range(5)]
        events = await outbox.peek(Priority.LOG, 10)
    assert [event.seq for event in events] == seqs == sorted(seqs)
    assert [msgspec.json.decode(event.body, type=Line).text for event in events] == [f"line {n}" for n in range(5)]
    assert all(event.at.boot_id and event.at.wall > 0 for event in events)


async def test_the_most_urgent_priority_goes_first(path: Path) -> None:
    async with running(path) as outbox:
        for priority in (Priority.LOG, Priority.HEALTH, Priority.ALERT, Priority.FEDERATION):
            await outbox.append(priority, "log", Line(priority.name))
        order: list[Priority] = []
        while batch := await outbox.next_batch(10):
            order.append(batch.priority)
            await outbox.ack(batch.priority, batch.events[-1].seq)
    assert order == [Priority.ALERT, Priority.FEDERATION, Priority.HEALTH, Priority.LOG]


async def test_an_ack_deletes_only_what_it_names(path: Path) -> None:
    async with running(path) as outbox:
        seqs = await fill(outbox, Priority.LOG, 10)
        await outbox.ack(Priority.LOG, seqs[3])
        assert [event.seq for event in await outbox.peek(Priority.LOG, 100)] == seqs[4:]
        assert await outbox.depth() == 6
        assert await outbox.oldest() is not None


async def test_numbers_and_epoch_go_on_after_everything_was_delivered_and_the_file_reopened(path: Path) -> None:
    async with running(path) as outbox:
        last = (await fill(outbox, Priority.HEALTH, 3))[-1]
        before = await outbox.next_batch(1)
        await outbox.ack(Priority.HEALTH, last)
    async with running(path) as outbox:
        assert await outbox.append(Priority.HEALTH, "log", Line("next")) == last + 1
        after = await outbox.next_batch(1)
    assert before is not None
    assert after is not None
    assert before.epoch == after.epoch


async def test_appends_that_wait_together_share_a_commit(path: Path) -> None:
    async with running(path) as outbox:
        seqs = await fill(outbox, Priority.LOG, 500, size=10)
        assert seqs == sorted(set(seqs))
        assert await outbox.depth() == 500


async def test_a_batch_is_bounded_in_bytes_but_never_empty(path: Path) -> None:
    async with running(path) as outbox:
        await fill(outbox, Priority.LOG, 3, size=600_000)
        assert [len(await outbox.peek(Priority.LOG, 100))] == [1]


async def test_a_full_outbox_drops_the_least_urgent_and_oldest_and_declares_it(path: Path) -> None:
    async with running(path, max_bytes=512 * 2**10) as outbox:
        federation = await fill(outbox, Priority.FEDERATION, 50)
        logs = await fill(outbox, Priority.LOG, 1000)
        kept = await outbox.peek(Priority.LOG, 1000)
        assert [event.seq for event in await outbox.peek(Priority.FEDERATION, 1000)] == federation
        assert kept[-1].seq == logs[-1]
        dropped = await outbox.dropped()
        assert len(kept) + dropped == 1000
        await outbox.ack(Priority.FEDERATION, federation[-1])  # the hub listens: now it is told
        declared = gap((await outbox.peek(Priority.ALERT, 1))[0])
    assert (declared.priority, declared.reason, declared.count) == (Priority.LOG, FULL, dropped)
    assert (declared.first, declared.last) == (logs[0], Seq(kept[0].seq - 1))


async def test_what_is_less_urgent_than_all_that_is_stored_is_turned_away_and_counted(path: Path) -> None:
    async with running(path, max_bytes=256 * 2**10) as outbox:
        stored = await fill(outbox, Priority.FEDERATION, 400)
        before = await outbox.dropped()
        await fill(outbox, Priority.LOG, 100)
        assert await outbox.dropped() - before + len(await outbox.peek(Priority.LOG, 100)) == 100
        assert (await outbox.peek(Priority.FEDERATION, 1000))[-1].seq == stored[-1]


async def test_alerts_are_never_dropped(path: Path) -> None:
    async with running(path, max_bytes=256 * 2**10) as outbox:
        alerts = await fill(outbox, Priority.ALERT, 100)
        await fill(outbox, Priority.LOG, 500)
        assert [event.seq for event in await outbox.peek(Priority.ALERT, 200)] == alerts


async def test_a_row_that_rotted_on_the_disk_is_dropped_and_declared(path: Path) -> None:
    async with running(path) as outbox:
        seqs = await fill(outbox, Priority.LOG, 3)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE log SET event = replace(event, 'xxx', 'xyx') WHERE seq = ?", (seqs[1],))
    db.close()
    async with running(path) as outbox:
        assert [event.seq for event in await outbox.peek(Priority.LOG, 10)] == [seqs[0], seqs[2]]
        await outbox.ack(Priority.LOG, seqs[2])
        declared = gap((await outbox.peek(Priority.ALERT, 1))[0])
    assert (declared.first, declared.last, declared.count, declared.reason) == (seqs[1], seqs[1], 1, DAMAGED)


async def test_an_event_that_the_hub_refuses_becomes_a_dead_letter_and_is_declared(path: Path) -> None:
    async with running(path) as outbox:
        seq = await outbox.append(Priority.LOG, "log", Line("bad"))
        await outbox.reject(Priority.LOG, seq, "no such kind")
        assert await outbox.peek(Priority.LOG, 1) == []
        assert "no such kind" in gap((await outbox.peek(Priority.ALERT, 1))[0]).reason
        assert await outbox.dropped() == 1
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT seq, priority FROM dead_letter").fetchall() == [(seq, Priority.LOG)]
    db.close()


@pytest.mark.parametrize("damage", ["garbage", "empty pages"])
async def test_an_unreadable_file_is_moved_aside_and_its_loss_reported(path: Path, damage: str) -> None:
    async with running(path) as outbox:
        await fill(outbox, Priority.LOG, 200)
        first = await outbox.next_batch(1)
    content = bytearray(path.read_bytes())
    if damage == "garbage":
        content[:100] = b"no database at all" * 5 + b"0123456789"
    else:
        content[4096 * 3 :] = bytes(len(content) - 4096 * 3)
    path.write_bytes(content)
    async with running(path) as outbox:
        batch = await outbox.next_batch(10)
        assert first is not None
        assert batch is not None
        assert batch.epoch != first.epoch
        assert "unreadable" in gap(batch.events[0]).reason
    assert path.with_name("outbox.db.damaged").exists()
