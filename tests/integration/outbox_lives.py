"""A device that is killed again and again: producers, committer and uplink of one outbox, each life a real process.

    python outbox_lives.py FOLDER PORT KILLS SEED MAX_BYTES

Lives are forked from this process, so that one start pays for the imports, and end by SIGKILL at a random moment. What
was begun and what was accepted is noted in FOLDER/begun, which outlives a kill. Each life first offers again, by name,
what may or may not have been accepted; the last one then offers one event more, the end, and ends when everything is
with the hub. The end is an alert: a full outbox drops and declares any other, and the end is not among what was begun.
"""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, cast

import msgspec
import zstandard
from msgspec import Struct

from flip_agent.hub.client import HubClient
from flip_agent.hub.connection import HubConnection
from flip_agent.outbox.outbox import Outbox
from flip_agent.uplink import Uplink
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Unavailable
from flip_wire.telemetry import Batch, BatchAccepted, Priority

PRODUCERS = 8
LIFE = 0.06
"""Seconds at most until the kill."""
ENDS_WITHIN = 600
"""Seconds, whatever becomes of the test and its hub."""


class Line(Struct, frozen=True):
    number: int
    filling: str


class Hub:
    """The telemetry call alone, over a real socket; no device token."""

    def __init__(self, port: int) -> None:
        self._connection = HubConnection(f"http://127.0.0.1:{port}")

    async def send(self, batch: Batch) -> BatchAccepted:
        body = zstandard.ZstdCompressor(level=1).compress(msgspec.json.encode(batch))
        answer = await self._connection.call(lambda: self._connection.exchange("POST", "/", body=body, headers={}))
        if answer.status != 200:
            raise Unavailable("busy", retry_after=answer.retry_after)
        return msgspec.json.decode(answer.body, type=BatchAccepted)


class Notes:
    """Which events were begun and accepted, over all lives."""

    def __init__(self, folder: Path) -> None:
        path = folder / "begun"
        lines = path.read_text().splitlines() if path.exists() else []
        self.begun = {int(line[1:]) for line in lines if line[0] == "b"}
        self.open = self.begun - {int(line[1:]) for line in lines if line[0] == "a"}
        self._handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def note(self, what: str, number: int) -> None:
        os.write(self._handle, f"{what}{number}\n".encode())


async def live(folder: Path, port: int, seed: int, max_bytes: int, *, last: bool) -> None:
    chance, notes = random.Random(seed), Notes(folder)
    outbox = await Outbox.open(folder / "disk" / "outbox.db", max_bytes=max_bytes)
    uplink = Uplink(outbox, cast(HubClient, Hub(port)), Backoff(first=0.002, most=0.02))
    services = [asyncio.create_task(outbox.run()), asyncio.create_task(uplink.run())]

    async def accepted(priority: Priority, kind: str, line: Line, *, once: str) -> None:
        while True:
            try:
                await outbox.append(priority, kind, line, once=once)
            except Unavailable:  # the disk is full of what the hub must have first
                await asyncio.sleep(0.01)
            else:
                return

    async def offer(number: int) -> None:
        priority = [Priority.FEDERATION, Priority.HEALTH, Priority.LOG, Priority.LOG][number % 4]
        await accepted(priority, "line", Line(number, chance.randbytes(400).hex()), once=str(number))
        notes.note("a", number)

    async def produce(first: int) -> None:
        for number in range(first, sys.maxsize, PRODUCERS):
            notes.note("b", number)
            await offer(number)

    await asyncio.gather(*map(offer, sorted(notes.open)))
    if not last:
        first = max(notes.begun, default=0) + 1
        await asyncio.gather(*(produce(first + each) for each in range(PRODUCERS)), *services)
    await accepted(Priority.ALERT, "end", Line(0, ""), once="end")
    while await outbox.oldest() is not None or await outbox.depth():  # `oldest` waits for the losses an ack declares
        await asyncio.sleep(0.01)
    for service in services:
        service.cancel()
    await asyncio.gather(*services, return_exceptions=True)
    await outbox.close()


def wait_for_growth(path: Path, within: float) -> None:
    size = path.stat().st_size if path.exists() else 0
    deadline = time.monotonic() + within
    while (path.stat().st_size if path.exists() else 0) == size and time.monotonic() < deadline:
        time.sleep(0.002)


def main() -> None:
    folder, (port, kills, seed, max_bytes) = Path(sys.argv[1]), map(int, sys.argv[2:6])
    chance = random.Random(seed)
    for life in range(kills + 1):
        last = life == kills
        child = os.fork()
        signal.alarm(ENDS_WITHIN)  # of either: a fork has none
        if child == 0:
            code: Any = 1
            try:
                code = asyncio.run(live(folder, port, seed * 10_000 + life, max_bytes, last=last))
            finally:
                os._exit(0 if code is None else 1)
        if last:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        if chance.random() < 0.7:  # the others may end before they have opened their outbox
            wait_for_growth(folder / "begun", within=20.0)
        time.sleep(chance.uniform(0.0, LIFE))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
