"""A damaged outbox file is replaced while it is in use: by whom, whenever, and however often this is broken off."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flip_agent.outbox.aside import heir_of
from flip_agent.outbox.file import OutboxFile
from flip_agent.outbox.outbox import Outbox
from flip_runtime.errors import Unavailable
from flip_wire.telemetry import Priority
from outboxes import Line, drained, fill, gaps, numbers, running

pytestmark = pytest.mark.asyncio

STEPS = 12
"""More than there are files to move."""
KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from flip_agent.outbox.outbox import Outbox

left = int(sys.argv[2])

def deadly(step):
    def taken(*arguments, **names):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments, **names)
    return taken

os.replace, os.unlink, os.fsync = deadly(os.replace), deadly(os.unlink), deadly(os.fsync)

async def begin_anew():
    outbox = await Outbox.open(Path(sys.argv[1]), ballast=0)
    await outbox.close()

asyncio.run(begin_anew())
"""


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "outbox.db"


async def damage(outbox: Outbox) -> None:
    """As the check finds it that reads the whole file."""

    async def found(_file: OutboxFile) -> str:
        return "row 3 missing from index"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OutboxFile, "check", found)
        assert await outbox.damage()


async def test_readers_wait_while_the_file_is_begun_anew(path: Path) -> None:
    async with running(path) as outbox:
        stop = asyncio.Event()

        async def read() -> int:
            rounds = 0
            while not stop.is_set():
                await outbox.oldest()
                if batch := await outbox.next_batch(2):
                    await outbox.ack(batch.priority, batch.events[-1].seq)
                rounds += 1
                await asyncio.sleep(0)
            return rounds

        readers = [asyncio.create_task(read()) for _ in range(3)]
        for number in range(5):
            await fill(outbox, Priority.LOG, 20)
            await damage(outbox)
            await outbox.append(Priority.LOG, "log", Line(f"file {number}"))
        stop.set()
        assert all(rounds > 0 for rounds in await asyncio.gather(*readers))


async def test_an_answer_to_the_old_files_events_takes_none_of_the_new(path: Path) -> None:
    async with running(path) as outbox:
        lost = await fill(outbox, Priority.LOG, 20)
        on_its_way = await outbox.next_batch()
        assert on_its_way is not None
        await damage(outbox)
        kept = [await outbox.append(Priority.LOG, "log", Line("new")), *await fill(outbox, Priority.LOG, 5)]
        await outbox.ack(on_its_way.priority, on_its_way.events[-1].seq)
        taken = await drained(outbox)
    assert numbers(taken[Priority.LOG]) == kept
    (declared,) = gaps(taken[Priority.ALERT])
    assert declared.count == len(lost)


async def test_without_room_for_a_new_file_it_is_tried_again_and_nothing_is_miscounted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(path) as outbox:
        lost = await fill(outbox, Priority.LOG, 20)
        await damage(outbox)
        with monkeypatch.context() as patch:
            patch.setattr(OutboxFile, "open", no_room)
            for _ in range(5):
                with pytest.raises(Unavailable, match="no room"):
                    await outbox.append(Priority.LOG, "log", Line("refused"))
                with pytest.raises(Unavailable):
                    await outbox.next_batch()
                with pytest.raises(Unavailable):
                    await outbox.oldest()
        await outbox.append(Priority.LOG, "log", Line("accepted"))
        taken = await drained(outbox)
        assert await outbox.dropped() == len(lost)
    assert len(taken[Priority.LOG]) == 1
    assert [gap.count for gap in gaps(taken[Priority.ALERT])] == [len(lost)]
    assert [file.name for file in path.parent.glob("outbox.db.damaged*")] == ["outbox.db.damaged-1"]


async def no_room(*_: object) -> OutboxFile:
    raise Unavailable("no room")


async def test_a_kill_at_any_step_of_it_leaves_the_loss_declared(path: Path) -> None:
    kills = 0
    for step in range(1, STEPS):
        async with running(path, ballast=0) as outbox:
            await drained(outbox)
            lost = await fill(outbox, Priority.LOG, 20)
        spoil_ledger(path)
        command = [sys.executable, "-W", "ignore", "-c", KILLED, str(path), str(step)]
        ended = await asyncio.to_thread(subprocess.run, command, check=False, timeout=60)
        assert ended.returncode in (0, -signal.SIGKILL)
        kills += ended.returncode != 0
        async with running(path, ballast=0) as outbox:
            taken = await drained(outbox)
            await outbox.append(Priority.ALERT, "log", Line("the hub is there again"))
            declared = gaps(taken[Priority.ALERT] + (await drained(outbox))[Priority.ALERT])
        assert [gap.count for gap in declared] == [len(lost)]
        assert not heir_of(path).exists()
    assert kills >= 3


def spoil_ledger(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b'{"epoch"') + 20] ^= 1
    path.write_bytes(content)
