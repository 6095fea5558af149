"""An event accepted by the outbox is delivered at least once, in order, or counted as dropped."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from flip_agent.outbox.outbox import FULL
from flip_agent.outbox.schema import KEYS
from flip_wire.telemetry import Priority
from outboxes import CHANCE, Line, drained, fill, gap, gaps, noise, numbers, running

pytestmark = pytest.mark.asyncio


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "outbox.db"


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


async def test_what_is_turned_away_is_counted_once_however_often_it_is_offered_also_after_a_kill(path: Path) -> None:
    small, large = 96 * 2**10, Line(noise(2**20))
    after_kill = path.parent / "after-kill"
    async with running(path, small) as outbox:
        stored = await fill(outbox, Priority.FEDERATION, 10)
        async with asyncio.TaskGroup() as group:
            both = [group.create_task(outbox.append(Priority.LOG, "log", large, once="run-1/log")) for _ in range(2)]
        shutil.copytree(path.parent, after_kill)  # what a kill leaves: committed, and perhaps nobody was told
    seq = both[0].result()
    async with running(after_kill / path.name, small) as outbox:
        assert await outbox.append(Priority.LOG, "log", large, once="run-1/log") == seq == both[1].result()
        assert await outbox.dropped() == 1
        taken = await drained(outbox)
        assert await outbox.append(Priority.LOG, "log", large, once="run-1/log") == seq
        assert (await outbox.dropped(), await outbox.depth()) == (1, 0)
    assert (numbers(taken[Priority.FEDERATION]), taken[Priority.LOG]) == (stored, [])
    (declared,) = gaps(taken[Priority.ALERT])
    assert (declared.first, declared.last, declared.count) == (seq, seq, 1)


async def test_alerts_are_never_dropped(path: Path) -> None:
    async with running(path, max_bytes=256 * 2**10) as outbox:
        alerts = await fill(outbox, Priority.ALERT, 100)
        await fill(outbox, Priority.LOG, 500)
        taken = (await drained(outbox))[Priority.ALERT]
    assert numbers([event for event in taken if event.kind != "gap"]) == alerts


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
