"""An event accepted by the outbox is delivered at least once, in order, or counted as dropped."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from flip_agent.outbox.file import OutboxFile
from flip_agent.outbox.outbox import DAMAGED, FULL, Outbox
from flip_agent.outbox.schema import KEYS, PAGE
from flip_wire.telemetry import Event, Gap, Priority, Seq

pytestmark = pytest.mark.asyncio


CHANCE = random.Random(1)


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
        tasks = [group.create_task(outbox.append(priority, "log", Line(noise(size)))) for _ in range(count)]
    return [task.result() for task in tasks]


def noise(size: int) -> str:
    """Text that does not compress to nothing."""
    return CHANCE.randbytes(size // 2).hex()


async def drained(outbox: Outbox) -> dict[Priority, list[Event]]:
    """Delivers everything."""
    taken: dict[Priority, list[Event]] = {priority: [] for priority in Priority}
    while batch := await outbox.next_batch():
        taken[batch.priority] += batch.events
        await outbox.ack(batch.priority, batch.events[-1].seq)
    return taken


def numbers(events: list[Event]) -> list[Seq]:
    return [event.seq for event in events]


def gaps(events: list[Event]) -> list[Gap]:
    return [gap(event) for event in events if event.kind == "gap"]


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
        dropped = await outbox.dropped()
        taken = await drained(outbox)
    kept = numbers(taken[Priority.LOG])
    (declared,) = gaps(taken[Priority.ALERT])
    assert numbers(taken[Priority.FEDERATION]) == federation
    assert kept == logs[-len(kept) :]
    assert dropped == 1000 - len(kept) > 0
    assert (declared.priority, declared.reason, declared.count) == (Priority.LOG, FULL, dropped)
    assert (declared.first, declared.last) == (logs[0], kept[0] - 1)


async def test_what_may_be_on_its_way_to_the_hub_is_never_dropped(path: Path) -> None:
    async with running(path, max_bytes=512 * 2**10) as outbox:
        first = await fill(outbox, Priority.LOG, 100)
        batch = await outbox.next_batch(40)
        assert batch is not None
        await fill(outbox, Priority.LOG, 1000)
    async with running(path, max_bytes=512 * 2**10) as outbox:  # another process does not know what was sent
        await fill(outbox, Priority.LOG, 1000)
        taken = await drained(outbox)
        assert numbers(taken[Priority.LOG])[:40] == numbers(batch.events) == first[:40]
        assert len(taken[Priority.LOG]) + await outbox.dropped() == 2100
        assert sum(declared.count for declared in gaps(taken[Priority.ALERT])) == await outbox.dropped() > 0


async def test_what_is_less_urgent_than_all_that_is_stored_is_turned_away_and_counted(path: Path) -> None:
    async with running(path, max_bytes=256 * 2**10) as outbox:
        stored = await fill(outbox, Priority.FEDERATION, 400)
        before = await outbox.dropped()
        await fill(outbox, Priority.LOG, 100)
        after = await outbox.dropped()
        taken = await drained(outbox)
    assert after - before + len(taken[Priority.LOG]) == 100
    assert taken[Priority.FEDERATION][-1].seq == stored[-1]
    assert sum(declared.count for declared in gaps(taken[Priority.ALERT])) == after


async def test_alerts_are_never_dropped(path: Path) -> None:
    async with running(path, max_bytes=256 * 2**10) as outbox:
        alerts = await fill(outbox, Priority.ALERT, 100)
        await fill(outbox, Priority.LOG, 500)
        taken = (await drained(outbox))[Priority.ALERT]
    assert numbers([event for event in taken if event.kind != "gap"]) == alerts


async def test_a_block_that_rotted_on_the_disk_is_kept_aside_and_declared_whole(path: Path) -> None:
    async with running(path) as outbox:
        before, lost, after = [await fill(outbox, Priority.LOG, 3) for _ in range(3)]
    with closing(sqlite3.connect(path)) as db, db:
        flipped = "UPDATE log SET content = substr(content, 1, 30) || x'00' || substr(content, 32) WHERE first = ?"
        db.execute(flipped, (lost[0],))
    async with running(path) as outbox:
        taken = await drained(outbox)
    assert numbers(taken[Priority.LOG]) == before + after
    (declared,) = gaps(taken[Priority.ALERT])
    assert (declared.first, declared.last, declared.count, declared.reason) == (lost[0], lost[-1], 3, DAMAGED)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT first, priority FROM quarantine").fetchall() == [(lost[0], Priority.LOG)]


async def test_rows_that_are_no_longer_there_are_declared_by_the_ledger(path: Path) -> None:
    async with running(path) as outbox:
        lost = await fill(outbox, Priority.HEALTH, 7)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM health")
    async with running(path) as outbox:
        assert await outbox.next_batch() is None
        await outbox.append(Priority.LOG, "log", Line("the hub is there again"))
        (declared,) = gaps((await drained(outbox))[Priority.ALERT])
    assert (declared.priority, declared.count, declared.reason) == (Priority.HEALTH, 7, DAMAGED)
    assert declared.first <= lost[0] <= lost[-1] <= declared.last


async def test_the_hub_may_take_the_first_part_of_a_block(path: Path) -> None:
    async with running(path) as outbox:
        seqs = await fill(outbox, Priority.LOG, 10)
        await outbox.ack(Priority.LOG, seqs[3])
        assert await outbox.depth() == 6
    async with running(path) as outbox:
        assert await outbox.depth() == 6
        assert numbers((await drained(outbox))[Priority.LOG]) == seqs[4:]
        assert await outbox.depth() == 0


async def test_one_event_of_a_block_can_be_refused_and_its_neighbours_arrive(path: Path) -> None:
    async with running(path) as outbox:
        seqs = await fill(outbox, Priority.LOG, 5)
        await outbox.ack(Priority.LOG, seqs[1])
        await outbox.reject(Priority.LOG, seqs[4], "is not the oldest")
        await outbox.reject(Priority.LOG, seqs[2], "bad")
        await outbox.reject(Priority.LOG, seqs[2], "bad")
        taken = await drained(outbox)
    assert numbers(taken[Priority.LOG]) == seqs[3:]
    (declared,) = gaps(taken[Priority.ALERT])
    assert (declared.first, declared.last, declared.count) == (seqs[2], seqs[2], 1)


async def test_of_events_with_the_same_name_one_is_kept_also_over_restarts(path: Path) -> None:
    async with running(path) as outbox:
        async with asyncio.TaskGroup() as group:
            both = [
                group.create_task(outbox.append(Priority.FEDERATION, "log", Line("a"), once="run-1/trained"))
                for _ in range(2)
            ]
        first = both[0].result()
        assert both[1].result() == first
        other = await outbox.append(Priority.FEDERATION, "log", Line("b"), once="run-1/delivered")
    async with running(path) as outbox:
        assert await outbox.append(Priority.FEDERATION, "log", Line("a"), once="run-1/trained") == first
        assert numbers((await drained(outbox))[Priority.FEDERATION]) == [first, other]
        await outbox.append(Priority.FEDERATION, "log", Line("a"), once="run-1/trained")
        assert await outbox.depth() == 0


async def test_names_that_are_remembered_are_bounded(path: Path) -> None:
    async with running(path) as outbox:
        async with asyncio.TaskGroup() as group:
            for number in range(KEYS + 200):
                group.create_task(outbox.append(Priority.LOG, "log", Line("a"), once=str(number)))
        long = await outbox.append(Priority.LOG, "log", Line("a"), once="x" * 10_000)
        assert await outbox.append(Priority.LOG, "log", Line("a"), once="x" * 10_000) == long
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*), max(length(key)) FROM once").fetchone() == (KEYS, 64)


async def test_a_commit_that_was_broken_off_is_counted_as_the_file_has_it(path: Path) -> None:
    async with running(path) as outbox:
        for _ in range(50):
            (seq,) = await fill(outbox, Priority.LOG, 1)
            acking = asyncio.create_task(outbox.ack(Priority.LOG, seq))
            for _ in range(CHANCE.randrange(5)):
                await asyncio.sleep(0)
            acking.cancel()
            await asyncio.gather(acking, return_exceptions=True)
        taken = await drained(outbox)
        assert numbers(taken[Priority.LOG]) == sorted(set(numbers(taken[Priority.LOG])))
        assert await outbox.depth() == 0


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


@pytest.mark.parametrize("damage", ["garbage", "empty pages", "ledger"])
async def test_an_unreadable_file_is_moved_aside_and_its_loss_reported(path: Path, damage: str) -> None:
    async with running(path) as outbox:
        lost = await fill(outbox, Priority.LOG, 200)
        first = await outbox.next_batch(1)
    spoil(path, damage)
    async with running(path) as outbox:
        batch = await outbox.next_batch(10)
        assert first is not None
        assert batch is not None
        assert batch.epoch != first.epoch
        (declared,) = gaps(batch.events)
    assert "unreadable" in declared.reason
    assert path.with_name("outbox.db.damaged-1").exists()
    if damage == "garbage":
        assert "number unknown" in declared.reason
    else:
        assert (declared.count, declared.priority) == (len(lost), Priority.LOG)


def spoil(path: Path, damage: str) -> None:
    content = bytearray(path.read_bytes())
    match damage:
        case "garbage":
            content[:100] = b"no database at all" * 5 + b"0123456789"
        case "empty pages":
            content[-PAGE * 30 :] = bytes(PAGE * 30)
        case _:
            at = content.index(b'{"epoch"')
            content[at + 20] ^= 1
    path.write_bytes(content)


async def test_the_newest_three_damaged_files_are_kept(path: Path) -> None:
    for number in range(5):
        async with running(path) as outbox:
            await outbox.append(Priority.LOG, "log", Line(f"file {number}"))
        path.write_bytes(b"garbage %d" % number)
    async with running(path):
        pass
    kept = sorted(path.parent.glob("outbox.db.damaged-*"))
    assert [(file.name, file.read_bytes()) for file in kept] == [
        (f"outbox.db.damaged-{1 + age}", b"garbage %d" % (4 - age)) for age in range(3)
    ]


async def test_damage_that_is_found_while_it_runs_begins_a_new_file_and_the_number_is_known(path: Path) -> None:
    async with running(path) as outbox:
        await fill(outbox, Priority.LOG, 20)
        before = await outbox.next_batch(1)
        assert await outbox.damage() == ""
        damage = OutboxFile.check
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(OutboxFile, "check", lambda _file: _said("row 3 missing from index"))
            assert await outbox.damage() == "row 3 missing from index"
        assert OutboxFile.check is damage
        await outbox.append(Priority.LOG, "log", Line("next"))
        taken = await outbox.next_batch()
        assert before is not None
        assert taken is not None
        assert taken.epoch != before.epoch
        assert [(declared.priority, declared.count) for declared in gaps(taken.events)] == [(Priority.LOG, 20)]


async def _said(verdict: str) -> str:
    return verdict
