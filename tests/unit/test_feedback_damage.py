"""A samples file that rots: nothing damaged is given out, and a file that cannot be read is begun anew, counted."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flip_agent.feedback.messages import Feedback
from sample_stores import bulk, call, manifest, rows, running

pytestmark = pytest.mark.asyncio

SAMPLES = 300


async def test_a_sample_that_the_disk_has_damaged_is_dropped_and_counted(folder: Path) -> None:
    async with running(folder) as store:
        await store.add(bulk(rows(3), [0, 1, 2]))
    with closing(sqlite3.connect(folder / "samples.db")) as db, db:
        db.execute("update sample set inputs = zeroblob(length(inputs)) where number = 2")
    async with running(folder) as store:
        assert (await store.labelled("weather", 10)).labels.tolist() == [0, 2]
        assert (await store.status()).samples == 2
    async with running(folder) as store:
        assert store.lost.samples_damaged == 0  # not open yet
        assert (await store.status()).lost.samples_damaged == 1


@pytest.mark.parametrize("damage", ["head", "middle", "accounts"])
async def test_a_file_that_cannot_be_read_is_moved_aside_and_the_loss_is_counted(folder: Path, damage: str) -> None:
    path = folder / "samples.db"
    async with running(folder) as store:
        store.predictions.answered(call("a", 0))
        for _ in range(SAMPLES // 10):
            await store.add(bulk(rows(10), [0] * 10))
    if damage == "accounts":
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("update account set content = zeroblob(10)")
    else:
        content = bytearray(path.read_bytes())
        begin = 0 if damage == "head" else 4096
        content[begin : begin + 8 * 4096] = b"\xa5" * (8 * 4096)
        path.write_bytes(content)
    async with running(folder) as store:
        await store.add(bulk(rows(2), [1, 2]))
        found = await store.labelled("weather", 10_000)
        status = await store.status()
        assert found.labels.tolist()[-2:] == [1, 2]
        assert status.lost.files == 1
        assert path.with_name("samples.db.damaged").exists()
        assert (await store.give_feedback([Feedback(id="a", label=0)])).unknown == ["a"]


async def test_a_file_damaged_while_it_is_open_is_begun_anew_with_what_was_known_of_it(folder: Path) -> None:
    wide = manifest(width=500)
    async with running(folder) as store:
        for _ in range(3):  # more than SQLite remembers of it
            await store.add(bulk(rows(500, width=500), [0] * 500, wide))
        for part in folder.glob("samples.db*"):
            with part.open("r+b") as file:
                file.write(b"\xa5" * part.stat().st_size)
        assert (await store.labelled("weather", 10_000)).labels.size == 0
        await store.add(bulk(rows(1), [2]))
        assert (await store.labelled("weather", 10_000)).labels.tolist() == [2]
        status = await store.status()
        assert (status.samples, status.lost.samples_damaged, status.lost.files) == (1, 1500, 1)
