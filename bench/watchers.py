"""Consoles that watch one hub: `python -m bench.watchers`, with `Watchers` as JSON on its standard input.

Each keeps its own WebSocket. Whoever changes something writes the moment (`mark_now`) into it; a watcher tells how old
it was when the frame came. Prints `began` when all of them watch, and in the end what they saw, as `Seen`.
"""

import asyncio
import re
import sys
import time
from array import array
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct
from websockets.asyncio.client import ClientConnection, connect

from bench.quantiles import quantiles

_MARK = re.compile(rb"mark-(\d{10,20})-")


class Watchers(Struct, frozen=True, kw_only=True):
    url: str
    """Of the hub."""
    token: str
    count: int
    until_file: str
    """They go on until that file is there."""


class Seen(Struct, frozen=True, kw_only=True):
    frames: list[int]
    """Marks that each watcher saw, each once."""
    milliseconds: list[float]
    """p50, p95, p99 and the most, of all."""
    lagged: int


def mark_now() -> str:
    """Of this moment, in a text; all processes of a machine have the same monotonic clock."""
    return f"mark-{time.monotonic_ns()}-"


class _Watcher:
    def __init__(self) -> None:
        self.ages = array("d")
        self.lagged = 0
        self._last: set[bytes] = set()

    def take(self, message: bytes) -> None:
        now = time.monotonic_ns()
        marks = set(_MARK.findall(message))
        for mark in marks - self._last:
            self.ages.append((now - int(mark)) / 1e6)
        self._last |= marks
        self.lagged += b'"lagged"' in message


async def watch(watchers: Watchers) -> Seen:
    all_of_them = [_Watcher() for _ in range(watchers.count)]
    url = f"{watchers.url.replace('http', 'ws', 1)}/api/v1/live"
    connections = [await connect(url, compression=None, max_queue=None) for _ in all_of_them]
    try:
        hello = msgspec.json.encode({"token": watchers.token, "topics": ["devices"]}).decode()
        for connection in connections:
            await connection.send(hello)
            await connection.recv()  # that it has missed what was before
        reading = [
            asyncio.create_task(_read(connection, watcher))
            for connection, watcher in zip(connections, all_of_them, strict=True)
        ]
        print("began", flush=True)
        while not Path(watchers.until_file).exists():
            await asyncio.sleep(0.1)
        for task in reading:
            task.cancel()
        await asyncio.wait(reading)
    finally:
        await asyncio.gather(*(connection.close() for connection in connections))
    return Seen(
        frames=[len(watcher.ages) for watcher in all_of_them],
        milliseconds=quantiles(age for watcher in all_of_them for age in watcher.ages),
        lagged=sum(watcher.lagged for watcher in all_of_them),
    )


async def _read(connection: ClientConnection, watcher: _Watcher) -> None:
    while True:
        watcher.take(await connection.recv(decode=False))


def main() -> None:
    watchers = msgspec.json.decode(sys.stdin.buffer.read(), type=Watchers)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(msgspec.json.encode(runner.run(watch(watchers))).decode(), flush=True)


if __name__ == "__main__":
    main()
