"""What is wrong is found, mended once in a while, and what was mended is told: with a real outbox."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from flip_agent.health.checks.check import Check
from flip_agent.health.conditions import DISK_LOW, MEMORY_LOW
from flip_agent.health.inspection import Inspection
from flip_agent.outbox.outbox import Outbox
from flip_wire.health import Repair
from flip_wire.telemetry import Priority

pytestmark = pytest.mark.asyncio


class Disk:
    """Full until it was mended."""

    def __init__(self) -> None:
        self.full = True
        self.helps = True
        self.mended = 0
        self.check = Check(DISK_LOW, lambda: "1 MiB free" if self.full else "", self._mend)

    def _mend(self) -> str:
        self.mended += 1
        self.full = not self.helps
        return "old logs removed"


@pytest_asyncio.fixture
async def outbox(folder: Path) -> AsyncGenerator[Outbox]:
    outbox = await Outbox.open(folder / "outbox.db")
    committing = asyncio.create_task(outbox.run())
    yield outbox
    committing.cancel()
    await asyncio.gather(committing, return_exceptions=True)
    await outbox.close()


async def told(outbox: Outbox) -> list[Repair]:
    events = await outbox.peek(Priority.HEALTH, 10)
    return [msgspec.json.decode(event.body, type=Repair) for event in events if event.kind == "repair"]


async def first_repair(inspection: Inspection) -> None:
    """Lets it run until it has mended something."""
    running = asyncio.create_task(inspection.run())
    async with asyncio.timeout(30):
        while not inspection.repairs:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_was_mended_is_told_as_an_event_and_the_condition_is_gone(outbox: Outbox) -> None:
    disk = Disk()
    inspection = Inspection([disk.check], outbox, may_mend=lambda: True)
    assert [condition.code for condition in inspection.look()] == ["disk-low"]
    await first_repair(inspection)
    done = Repair(code="disk-low", text="old logs removed")
    assert list(inspection.repairs) == [done]
    while not await told(outbox):
        await asyncio.sleep(0)
    assert await told(outbox) == [done]
    assert inspection.look() == []


async def test_what_does_not_help_is_not_tried_all_the_time_but_when_a_person_asks(outbox: Outbox) -> None:
    disk = Disk()
    disk.helps = False
    inspection = Inspection([disk.check], outbox, may_mend=lambda: True)
    await first_repair(inspection)
    await first_repair(inspection)
    assert disk.mended == 1
    assert len(await inspection.mend()) == 1
    assert disk.mended == 2


async def test_in_safe_mode_nothing_is_mended_by_itself(outbox: Outbox) -> None:
    disk = Disk()
    inspection = Inspection([disk.check], outbox, may_mend=lambda: False)
    running = asyncio.create_task(inspection.run())
    for _ in range(10):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert disk.mended == 0


async def test_a_check_without_a_repair_is_only_told(outbox: Outbox) -> None:
    inspection = Inspection([Check(MEMORY_LOW, lambda: "20 MiB left")], outbox, may_mend=lambda: True)
    assert await inspection.mend() == []
    assert inspection.look() == []  # not yet visible


async def test_a_file_that_rots_while_the_agent_runs_is_found_and_begun_anew(folder: Path) -> None:
    outbox = await Outbox.open(folder / "outbox.db")
    committing = asyncio.create_task(outbox.run())
    body = Repair(code="filling", text="x" * 3000)
    for _ in range(40):
        await outbox.append(Priority.ALERT, "condition", body)
    await outbox.close()
    committing.cancel()
    await asyncio.gather(committing, return_exceptions=True)
    outbox = await Outbox.open(folder / "outbox.db")
    committing = asyncio.create_task(outbox.run())
    with (folder / "outbox.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 12)
    await first_repair(Inspection([], outbox, may_mend=lambda: True, verify_every=0.0))
    assert [path.name for path in folder.glob("*.damaged*") if path.name.rpartition("-")[2].isdigit()] != []
    while not await told(outbox):
        await asyncio.sleep(0)
    assert (await told(outbox))[0].code == "database-damaged"
    committing.cancel()
    await asyncio.gather(committing, return_exceptions=True)
    await outbox.close()
