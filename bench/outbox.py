"""64 producers that wait until their event is on the disk: the outbox, against aiosqlite with a commit for each event.

Both on the same disk, in turns, with WAL and `synchronous=FULL`. Then the outbox alone: how many bytes reach the disk
for events of 300 bytes that come a hundred at a time, checkpoints included.
"""

import asyncio
import random
import statistics
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
import msgspec
from msgspec import Struct

from bench.progress import say
from bench.report import Verdict, at_least, at_most
from flip_agent.outbox.outbox import Outbox
from flip_wire.telemetry import Priority

PRODUCERS = 64
_TURNS = 3
_CHANCE = random.Random(1)
_KIND = "prediction"


class Prediction(Struct, frozen=True):
    """As `serve` logs one: numbers, which do not compress to nothing. About 300 bytes as JSON with its stamp."""

    model: str
    version: int
    seconds: float
    outputs: list[float]


class Pace(Struct, frozen=True):
    per_second: float
    cpu: float
    """Seconds for one event, of all threads of this process."""


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    slow, fast = (256, 4096) if quick else (2048, 32768)
    paces: list[tuple[Pace, Pace]] = []
    for turn in range(_TURNS):
        one_by_one = await _one_by_one(folder / f"peer-{turn}.db", slow)
        async with _outbox(folder / f"outbox-{turn}.db") as outbox:
            grouped = await _paced(fast, lambda: outbox.append(Priority.LOG, _KIND, _event()))
        say(f"turn {turn + 1}: {grouped.per_second:,.0f} events/s against {one_by_one.per_second:,.0f}")
        paces.append((grouped, one_by_one))
    written = await _written(folder / "bytes.db", 1000 if quick else 20_000)
    ours, peer = (_median([pace[side] for pace in paces]) for side in (0, 1))
    return {
        "events_per_second_ratio": at_least(10.0, ours.per_second / peer.per_second, peer.per_second),
        "cpu_per_event_ratio": at_most(0.1, ours.cpu / peer.cpu, peer.cpu),
        "device_bytes_per_event": at_most(400.0, written),
    }


def _median(paces: Sequence[Pace]) -> Pace:
    return Pace(*(statistics.median(values) for values in zip(*((p.per_second, p.cpu) for p in paces), strict=True)))


async def _one_by_one(path: Path, events: int) -> Pace:
    async with aiosqlite.connect(path) as database:
        await database.execute("pragma journal_mode = wal")
        await database.execute("pragma synchronous = full")
        await database.execute("create table event (seq integer primary key autoincrement, content blob not null)")
        await database.commit()
        alone = asyncio.Lock()  # there is one transaction to a connection

        async def append() -> None:
            content = msgspec.json.encode(_event())
            async with alone:
                await database.execute("insert into event (content) values (?)", (content,))
                await database.commit()

        return await _paced(events, append)


async def _paced(events: int, append: Callable[[], Awaitable[object]]) -> Pace:
    async def produce() -> None:
        for _ in range(events // PRODUCERS):
            await append()

    began, spent = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(PRODUCERS):
            group.create_task(produce())
    done = events // PRODUCERS * PRODUCERS
    return Pace(done / (time.perf_counter() - began), (time.process_time() - spent) / done)


async def _written(path: Path, events: int) -> float:
    """Bytes that reach the disk for each event; what SQLite still holds in its log is written before the last look."""
    async with _outbox(path) as outbox:
        before = _write_bytes()
        for _ in range(events // 100):
            async with asyncio.TaskGroup() as group:
                for _ in range(100):
                    group.create_task(outbox.append(Priority.LOG, _KIND, _event()))
    return (_write_bytes() - before) / events


@asynccontextmanager
async def _outbox(path: Path) -> AsyncGenerator[Outbox]:
    outbox = await Outbox.open(path)
    committer = asyncio.create_task(outbox.run())
    try:
        yield outbox
    finally:
        committer.cancel()
        await asyncio.wait([committer])
        await outbox.close()


def _event() -> Prediction:
    outputs = [round(_CHANCE.random(), 6) for _ in range(10)]
    return Prediction(model="digits", version=7, seconds=round(_CHANCE.random() / 1000, 6), outputs=outputs)


def _write_bytes() -> int:
    for line in Path("/proc/self/io").read_text().splitlines():
        name, _, value = line.partition(": ")
        if name == "write_bytes":
            return int(value)
    raise AssertionError("/proc/self/io tells no write_bytes")
