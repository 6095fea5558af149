"""An outbox that commits, as tests fill, drain and reopen it."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from flip_agent.outbox.ballast import SIZE
from flip_agent.outbox.outbox import Outbox
from flip_wire.telemetry import Event, Gap, Priority, Seq

CHANCE = random.Random(1)


class Line(Struct, frozen=True):
    text: str


@asynccontextmanager
async def running(
    path: Path, max_bytes: int = 8 * 2**20, *, ballast: int = SIZE, within: float = 30.0
) -> AsyncGenerator[Outbox]:
    """With its committer; the block must end within so many seconds."""
    outbox = await Outbox.open(path, max_bytes=max_bytes, ballast=ballast)
    committer = asyncio.create_task(outbox.run())
    try:
        async with asyncio.timeout(within):
            yield outbox
    finally:
        committer.cancel()
        await asyncio.gather(committer, return_exceptions=True)
        await outbox.close()


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
