"""Session events under kill -9: what was produced is what `run` was given and what was declared dropped, exactly."""

import asyncio
import random
import signal
import sqlite3
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import msgspec
import pytest
from local_run import ended, run_parts

from flip_agent.federation.run_link import RunLink
from flip_agent.federation.session_events import AT_ONCE
from flip_agent.federation.session_store import SessionStore
from flip_agent.local.client import WAITING
from flip_wire.telemetry import Event, SessionEvent
from outboxes import drained, gaps

pytestmark = pytest.mark.asyncio

LIVES = Path(__file__).with_name("handover_lives.py")
KEPT = 48
EVERY_STEP = 60
"""More than a life of few events takes."""


class Session:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.kills = 0

    async def live(self, events: int, *, kill_at: int = 0, within: float = 0.0) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{events} {kill_at} {within}\n".encode())
        status = int(await self._process.stdout.readline())
        assert status in (0, -signal.SIGKILL)
        self.kills += status != 0


@asynccontextmanager
async def session(folder: Path, socket: Path) -> AsyncGenerator[Session]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", str(LIVES), str(folder), str(socket), str(KEPT)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Session(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def produced(folder: Path) -> int:
    with sqlite3.connect(folder / "session.db") as db:
        ((number,),) = db.execute("select seq from sqlite_sequence where name = 'event'").fetchall()
    db.close()
    return number


def check(folder: Path, events: list[Event]) -> int:
    """Gives how many were declared."""
    delivered = [msgspec.json.decode(e.body, type=SessionEvent).message_id for e in events if e.kind == "session"]
    declared = sum(gap.count for gap in gaps(events))
    assert len(delivered) == len(set(delivered))
    assert produced(folder) == len(delivered) + declared
    return declared


async def test_a_kill_at_every_step_neither_loses_nor_repeats_an_event_or_a_declaration(folder: Path) -> None:
    async with run_parts(folder, within=240.0) as run, session(folder, run.socket) as train:
        await train.live(2 * KEPT)  # while `run` is away
        for kill_at in range(1, EVERY_STEP):
            if kill_at % 8 == 0:
                await train.live(KEPT)
            async with run.listening():
                await train.live(2, kill_at=kill_at, within=1.0)
        async with run.listening():
            await train.live(1, within=60.0)
        taken = await drained(run.outbox)
    declared = check(folder, [event for events in taken.values() for event in events])
    assert declared > KEPT
    assert train.kills > EVERY_STEP // 3


async def test_no_event_on_its_way_is_dropped_for_want_of_a_place() -> None:
    assert AT_ONCE < WAITING


async def test_a_message_that_fails_twice_is_told_of_twice(folder: Path) -> None:
    """Its app crashed; later the hub did not keep the late error reply."""
    reasons = ["the app crashed", "not kept by the hub"]
    with SessionStore(folder / "session.db") as store:
        for reason in reasons:
            store.events.keep(SessionEvent(run_id="run-1", message_id="m1", step="failed", detail=reason))
        async with run_parts(folder) as run, run.listening():
            link = RunLink(run.socket, store)
            talk = asyncio.create_task(link.run())
            await link.handed_over(within=20.0)
            await ended(talk)
            taken = await drained(run.outbox)
    told = [msgspec.json.decode(event.body, type=SessionEvent) for events in taken.values() for event in events]
    assert [each.detail for each in told] == reasons


async def test_random_kills_while_run_comes_and_goes(folder: Path) -> None:
    chance = random.Random(11)
    async with run_parts(folder, within=240.0) as run, session(folder, run.socket) as train:
        for _ in range(60):
            async with run.listening() if chance.random() < 0.5 else nullcontext():
                await train.live(chance.randrange(30), kill_at=chance.randrange(1, 150), within=0.2)
        async with run.listening():
            await train.live(1, within=60.0)
        taken = await drained(run.outbox)
    assert check(folder, [event for events in taken.values() for event in events]) > 0
    assert train.kills > 15
