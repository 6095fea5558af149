"""People at their consoles: `python -m bench.people`, with `People` as JSON on its standard input.

Each keeps the live WebSocket of a console open and looks at one page after the other. Prints `began` when all watch,
and in the end what they waited for, as `Waited`.
"""

import asyncio
import sys
import time
from array import array
from pathlib import Path

import httpx
import msgspec
import uvloop
from msgspec import Struct
from websockets.asyncio.client import connect

from bench.quantiles import quantiles


class People(Struct, frozen=True, kw_only=True):
    url: str
    """Of the hub."""
    token: str
    count: int
    paths: list[str]
    """What a person looks at in turn; each begins elsewhere."""
    look: float
    """Seconds until the next."""
    until_file: str
    """They go on until that file is there."""


class Waited(Struct, frozen=True, kw_only=True):
    calls: int
    milliseconds: list[float]
    """p50, p95, p99 and the most."""
    errors: list[str]
    frames: int


class _Office:
    def __init__(self, people: People) -> None:
        self._people = people
        self._latencies = array("d")
        self._errors: list[str] = []
        self._frames = 0

    async def run(self) -> Waited:
        people = self._people
        headers = {"Authorization": f"Bearer {people.token}"}
        async with (
            httpx.AsyncClient(base_url=people.url, headers=headers, timeout=60.0, trust_env=False) as http,
            asyncio.TaskGroup() as group,
        ):
            tasks = [group.create_task(self._watch()) for _ in range(people.count)]
            tasks += [group.create_task(self._read(http, number)) for number in range(people.count)]
            print("began", flush=True)
            while not Path(people.until_file).exists():
                await asyncio.sleep(0.1)
            for task in tasks:
                task.cancel()
        return Waited(
            calls=len(self._latencies),
            milliseconds=quantiles(self._latencies),
            errors=self._errors[:10],
            frames=self._frames,
        )

    async def _watch(self) -> None:
        async with connect(f"{self._people.url.replace('http', 'ws', 1)}/api/v1/live", compression=None) as socket:
            await socket.send(msgspec.json.encode({"token": self._people.token}).decode())
            while True:
                await socket.recv(decode=False)
                self._frames += 1

    async def _read(self, http: httpx.AsyncClient, number: int) -> None:
        people = self._people
        await asyncio.sleep(people.look * number / people.count)
        while True:
            number += 1
            began = time.monotonic()
            answer = await http.get(people.paths[number % len(people.paths)])
            self._latencies.append(1000 * (time.monotonic() - began))
            if not answer.is_success:
                self._errors.append(f"{answer.url.path}: {answer.status_code} {answer.text[:100]}")
            await asyncio.sleep(people.look)


def main() -> None:
    people = msgspec.json.decode(sys.stdin.buffer.read(), type=People)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(msgspec.json.encode(runner.run(_Office(people).run())).decode(), flush=True)


if __name__ == "__main__":
    main()
