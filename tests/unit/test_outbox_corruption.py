"""What the disk damages is never given out: it is put aside, and declared with as good a number as can be known."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flip_agent.outbox.file import OutboxFile
from flip_agent.outbox.outbox import DAMAGED
from flip_agent.outbox.schema import PAGE
from flip_wire.telemetry import Priority
from outboxes import Line, drained, fill, gaps, numbers, running

pytestmark = pytest.mark.asyncio


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "outbox.db"


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


@pytest.mark.parametrize("left", ["nothing", "an empty file", "its log"])
async def test_a_file_that_is_missing_is_declared_once_and_a_first_start_declares_nothing(
    path: Path, left: str
) -> None:
    async with running(path) as outbox:
        assert await outbox.next_batch() is None
        await fill(outbox, Priority.LOG, 5)
        if left == "its log":
            path.with_name("kept").write_bytes(path.with_name("outbox.db-wal").read_bytes())
    path.unlink()
    if left == "an empty file":
        path.touch()
    if left == "its log":
        path.with_name("kept").rename(path.with_name("outbox.db-wal"))
    async with running(path) as outbox:
        (declared,) = gaps((await drained(outbox))[Priority.ALERT])
    assert (declared.count, declared.reason) == (0, "number unknown; the outbox file was missing")
    async with running(path) as outbox:
        assert await outbox.next_batch() is None


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
