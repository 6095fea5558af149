"""A sample store that is killed again and again; what was accepted is noted in FOLDER/accepted, which outlives a kill.

    python sample_lives.py FOLDER KILLS SEED

Lives are forked from this process, so that one start pays for the imports, and end by SIGKILL at a random moment. In
each, several callers send samples under names, and give feedback to predictions; what may or may not have been accepted
is sent again by the next life.
"""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from flip_agent.feedback.messages import Feedback
from sample_stores import bulk, call, running

CALLERS = 4
LIFE = 0.08
"""Seconds at most until the kill."""


class Notes:
    def __init__(self, folder: Path) -> None:
        path = folder / "accepted"
        lines = path.read_text().splitlines() if path.exists() else []
        self.begun = {int(line[1:]) for line in lines if line[0] == "b"}
        self.accepted = {int(line[1:]) for line in lines if line[0] == "a"}
        self.judged = {int(line[1:]) for line in lines if line[0] == "j"}
        self._handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def note(self, what: str, number: int) -> None:
        os.write(self._handle, f"{what}{number}\n".encode())


async def live(folder: Path) -> None:
    notes = Notes(folder)
    async with running(folder, predictions=10_000, log_inputs=True) as store:

        async def send(number: int) -> None:
            await store.add(bulk(np.full((1, 4), number, "f4"), [number % 3], id=str(number)))
            notes.note("a", number)

        async def tell(number: int) -> None:
            store.predictions.answered(call(str(number), number % 3))
            for label in (0, 1):  # the second replaces the first
                answer = await store.give_feedback([Feedback(id=str(number), label=label)])
                assert answer.samples == 1
            notes.note("j", number)

        async def produce(first: int) -> None:
            for number in range(first, sys.maxsize, CALLERS):
                notes.note("b", number)
                await send(number)
                await tell(number)

        await asyncio.gather(*map(send, sorted(notes.begun - notes.accepted)))
        first = max(notes.begun, default=0) + 1
        await asyncio.gather(*(produce(first + each) for each in range(CALLERS)))


def main() -> None:
    folder, kills, chance = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    for _ in range(kills):
        size = _size(folder)
        child = os.fork()
        if child == 0:
            asyncio.run(live(folder))
        deadline = time.monotonic() + 20.0
        while chance.random() < 0.9 and _size(folder) == size and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(chance.uniform(0.0, LIFE))
        os.kill(child, signal.SIGKILL)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != -signal.SIGKILL:
            sys.exit("a life ended by itself")


def _size(folder: Path) -> int:
    path = folder / "accepted"
    return path.stat().st_size if path.exists() else 0


if __name__ == "__main__":
    main()
