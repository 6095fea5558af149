"""Thousands of agents in one lean process: `python -m bench.agents`, with a `Crowd` as JSON on its standard input.

Each keeps its long poll open and sends one heartbeat a period: the two events that a real agent makes, compressed as
it does, with the headers that it sends. A heartbeat that is not answered is sent again, with the same numbers, until it
is. Prints `began` when all of them are there, then each `Window` of time, and in the end how far each device's events
were acknowledged.
"""

import asyncio
import gc
import resource
import ssl
import sys
import time
from array import array
from pathlib import Path
from typing import NoReturn, cast

import msgspec
import uvloop
import zstandard
from msgspec import Struct

from bench.quantiles import quantiles
from flip_wire.fleet import DesiredState, ReportedState
from flip_wire.health import HealthReport
from flip_wire.telemetry import Batch, BatchAccepted, Event, Priority, Seq, Stamp
from flip_wire.version import HEADER, WIRE_VERSION

POLL = 60.0
"""Seconds that the hub may hold a poll back, as `flip_agent.hub.client` asks for."""
WARM_UP = 4
"""Periods: all of them come at once, and the hub knows none of them."""
AGAIN = 1.0
"""Seconds after a call that failed."""
CONNECT_EACH = 0.005
"""Seconds between the first connections of two agents."""
_CALLS = 64
"""Kinds of health reports; made before anything is measured."""


class Crowd(Struct, frozen=True, kw_only=True):
    port: int
    tokens: list[str]
    """One for each device."""
    period: float
    """Seconds from one heartbeat of a device to its next."""
    seconds: float
    """Of a window; the first begins after `WARM_UP` periods."""
    connections: int
    """That heartbeats go through: a process may not have as many files open as real devices have connections."""
    polls: bool = True
    ca: str = ""
    """PEM; with it they speak TLS."""
    until_file: str
    """They go on until that file is there."""


class Window(Struct, frozen=True, kw_only=True):
    beats: int
    """That were acknowledged."""
    errors: list[str]
    """The first of them."""
    failed: int
    milliseconds: list[float]
    """p50, p95, p99 and the most, from when a beat was due to its answer."""


Acknowledged = list[int]
"""Of each device the number of its last event that the hub has said is durable; -1 for none."""


class Answer(Struct):
    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """Keep-alive HTTP/1.1, one call at a time."""

    def __init__(self, crowd: Crowd, context: ssl.SSLContext | None) -> None:
        self._crowd = crowd
        self._context = context
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[Answer] | None = None

    async def call(self, request: bytes) -> Answer:
        """Raises `OSError` when the connection is lost."""
        loop = asyncio.get_running_loop()
        if self._transport is None:
            name = "localhost" if self._context else None
            where = "127.0.0.1", self._crowd.port
            await loop.create_connection(lambda: self, *where, ssl=self._context, server_hostname=name)
        assert self._transport is not None
        self._answer = loop.create_future()
        self._transport.write(request)
        return await self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : (head + b"\r").find(b"\r", at)]) if at >= 0 else 0
        if len(self._received) < end + 4 + length:
            return
        body = bytes(self._received[end + 4 : end + 4 + length])
        self._received.clear()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._received.clear()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc if isinstance(exc, OSError) else ConnectionResetError("closed"))


class Agents:
    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._context = ssl.create_default_context(cadata=crowd.ca) if crowd.ca else None
        self._compress = zstandard.ZstdCompressor(level=1).compress
        self._reports = [_report(number) for number in range(_CALLS)]
        self._acknowledged = array("q", [-1]) * len(crowd.tokens)
        self._latencies = array("d")
        self._errors: list[str] = []
        self._failed = 0
        self._measuring = False

    async def run(self) -> Acknowledged:
        crowd, loop = self._crowd, asyncio.get_running_loop()
        lines: asyncio.Queue[Connection] = asyncio.Queue()
        for _ in range(crowd.connections):
            lines.put_nowait(Connection(crowd, self._context))
        tasks = [loop.create_task(self._poll(number)) for number in range(len(crowd.tokens) if crowd.polls else 0)]
        await asyncio.sleep(len(crowd.tokens) * CONNECT_EACH)
        tasks += [loop.create_task(self._beat(number, lines)) for number in range(len(crowd.tokens))]
        await asyncio.sleep(WARM_UP * crowd.period)
        self._measuring = True
        _say("began")
        while not Path(crowd.until_file).exists():
            await asyncio.sleep(crowd.seconds)
            _say(msgspec.json.encode(self._seen()).decode())
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return list(self._acknowledged)

    async def _poll(self, number: int) -> NoReturn:
        await asyncio.sleep(number * CONNECT_EACH)
        connection, generation = Connection(self._crowd, self._context), 0
        while True:
            path = f"/api/v1/device/desired?after={generation}&wait={POLL:g}"
            answer = await self._call(connection, self._request(number, f"GET {path}"), (200, 304))
            if answer is None:
                await asyncio.sleep(AGAIN)
            elif answer.status == 200:
                generation = msgspec.json.decode(answer.body, type=DesiredState).generation

    async def _beat(self, number: int, lines: asyncio.Queue[Connection]) -> NoReturn:
        loop, crowd, epoch = asyncio.get_running_loop(), self._crowd, f"00000000-0000-4000-8000-{number:012x}"
        due, seq = loop.time() + crowd.period * number / len(crowd.tokens), 0
        while True:
            await asyncio.sleep(due - loop.time())
            while True:
                line = await lines.get()
                answer = await self._call(line, self._batch(number, epoch, seq), (200,))
                lines.put_nowait(line)
                if answer is not None:
                    break
                await asyncio.sleep(AGAIN)
            up_to = msgspec.json.decode(answer.body, type=BatchAccepted).up_to
            self._acknowledged[number] = max(self._acknowledged[number], up_to)
            if self._measuring:
                self._latencies.append(1000 * (loop.time() - due))
            seq += 2
            due = max(due + crowd.period, loop.time())

    async def _call(self, connection: Connection, request: bytes, good: tuple[int, ...]) -> Answer | None:
        try:
            answer = await connection.call(request)
        except OSError as error:
            self._fail(f"{type(error).__name__}: {error}")
            return None
        if answer.status in good:
            return answer
        self._fail(f"{answer.status} {answer.body[:200]!r}")
        return None

    def _fail(self, reason: str) -> None:
        if self._measuring:
            self._failed += 1
            if len(self._errors) < 10:
                self._errors.append(reason)

    def _batch(self, number: int, epoch: str, seq: int) -> bytes:
        at = Stamp(wall=time.time(), monotonic=time.monotonic(), boot_id=epoch)
        bodies = [("health", self._reports[(number + seq) % _CALLS]), ("state", _STATE)]
        events = [Event(seq=Seq(seq + nth), kind=kind, at=at, body=body) for nth, (kind, body) in enumerate(bodies)]
        batch = Batch(epoch=epoch, priority=Priority.HEALTH, events=events, sent=at)
        body = self._compress(msgspec.json.encode(batch))
        sent = f"Content-Type: application/json\r\nContent-Encoding: zstd\r\nContent-Length: {len(body)}\r\n"
        return self._request(number, "POST /api/v1/device/telemetry", sent) + body

    def _request(self, number: int, line: str, headers: str = "") -> bytes:
        token = self._crowd.tokens[number]
        return (
            f"{line} HTTP/1.1\r\nHost: localhost:{self._crowd.port}\r\nAccept-Encoding: identity\r\n"
            f"Authorization: Bearer {token}\r\n{HEADER}: {WIRE_VERSION}\r\n{headers}\r\n"
        ).encode()

    def _seen(self) -> Window:
        """Since the last time."""
        latencies, self._latencies = self._latencies, array("d")
        errors, self._errors = self._errors, []
        failed, self._failed = self._failed, 0
        return Window(beats=len(latencies), errors=errors, failed=failed, milliseconds=quantiles(latencies))


def _say(line: str) -> None:
    print(line, flush=True)


_STATE = msgspec.Raw(msgspec.json.encode(ReportedState(generation=0, agent_version="0.1.0", training="idle")))


def _report(number: int) -> msgspec.Raw:
    report = HealthReport(
        uptime=1000.0 * number + 0.123,
        rss=30_000_000 + 4096 * number,
        load=0.01 * number,
        disk_free=10**10 - 4096 * number,
        outbox_depth=number % 3,
        outbox_oldest=None,
        dropped=0,
        temperature=40.0 + 0.25 * number,
        memory_available=10**9 - 4096 * number,
        clock_offset=0.001 * number,
    )
    return msgspec.Raw(msgspec.json.encode(report))


def main() -> None:
    crowd = msgspec.json.decode(sys.stdin.buffer.read(), type=Crowd)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.disable()  # it would stop ten thousand agents for a second, and what they make is soon over
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        acknowledged = runner.run(Agents(crowd).run())
    _say(msgspec.json.encode(acknowledged).decode())


if __name__ == "__main__":
    main()
