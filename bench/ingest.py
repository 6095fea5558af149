"""Ten thousand agents at one hub: heartbeats and long polls, what one beat costs, and that none is lost by a kill.

The hub and mongod are real processes with the settings of the demo; the agents are one process (`bench.agents`), whose
own CPU time is not counted, and the SuperLink's is not either: it has no part in it. Latency is counted from when a
beat was due. Then the hub, and mongod, are killed under that load and started again: each acknowledged beat must be
there, and be counted once. The cost of TLS is the difference to the same crowd with it.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import psutil

from bench.agents import Acknowledged, Crowd, Window
from bench.calm import calm_windows
from bench.hubs import BenchHub
from bench.load_process import LoadProcess, loading
from bench.progress import say
from bench.report import Verdict, at_least, at_most
from bench.trees import MIB, watching
from flip_hub.intake.store import IntakeStore
from flip_hub.mongo import Mongo
from flip_hub.vitals.store import HealthStore
from flip_runtime.errors import Unavailable
from flip_wire.fleet import DeviceId

CONNECTIONS = 4000


@dataclass(frozen=True)
class Size:
    agents: int
    period: float
    """Seconds from one heartbeat of an agent to its next."""
    seconds: float
    """Of a window."""
    windows: int
    """That are measured while the host leaves this machine alone; or the least disturbed of three times as many."""
    pause: float
    """Seconds of load before, between and after the kills."""


@dataclass(frozen=True)
class Spent:
    """In one window."""

    window: Window
    cpu: tuple[float, float]
    """Seconds, of the hub and of mongod."""


@dataclass(frozen=True)
class Load:
    beats: float
    """A second."""
    failed: int
    milliseconds: float
    """95 % of the beats waited at most so long, in the median window."""
    hub: float
    """Microseconds of CPU for each beat."""
    mongod: float
    memory: float
    """Percent of the machine's, the most."""


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    size = Size(300, 4.0, 4.0, 2, 3.0) if quick else Size(10_000, 10.0, 20.0, 3, 15.0)
    plain = await _crowd(folder, size)
    tls = await _crowd(folder, size, tls=True)
    lost, miscounted = await _killed(folder, size)
    return {
        "agents": at_least(size.agents, size.agents),
        "beats_per_second": at_least(0.97 * size.agents / size.period, plain.beats),
        "p95_ms": at_most(200.0, plain.milliseconds),
        "errors": at_most(0, plain.failed),
        "cpu_us_per_beat": at_most(600.0, plain.hub + plain.mongod),
        "memory_percent": at_most(85.0, plain.memory),
        "tls_us_per_beat": at_most(600.0, tls.hub - plain.hub, plain.hub),
        "beats_lost_by_kills": at_most(0, lost),
        "devices_miscounted_after_kills": at_most(0, miscounted),
    }


async def _crowd(folder: Path, size: Size, *, tls: bool = False) -> Load:
    hub = BenchHub(Path(tempfile.mkdtemp(dir=folder)), tls=tls, heartbeat=size.period)
    async with hub.running():
        say(f"enrolling {size.agents} devices")
        _, tokens = await hub.enrol(size.agents)
        say(f"{size.agents} agents{' with TLS' if tls else ''}, a heartbeat each {size.period:g} s")
        async with (
            _agents(hub, tokens, size, hub.folder / "enough") as agents,
            watching(lambda: int(psutil.virtual_memory().percent * 100)) as peak,
        ):
            measure = partial(_window, hub, agents)
            seen = await calm_windows(measure, wanted=size.windows, most=3 * size.windows)
            rss = psutil.Process(hub.pids[0]).memory_info().rss / MIB
    load = _load(seen, size, peak.value / 100)
    say(f"a beat costs the hub {load.hub:.0f} us and mongod {load.mongod:.0f} us; the hub has {rss:.0f} MiB")
    return load


async def _window(hub: BenchHub, agents: LoadProcess) -> Spent:
    before = _cpu(hub)
    window = await agents.told(Window)
    after = _cpu(hub)
    spent = Spent(window, (after[0] - before[0], after[1] - before[1]))
    say(f"{window.beats} beats, ms {window.milliseconds}, {window.failed} errors {window.errors}, CPU s {spent.cpu}")
    return spent


def _load(seen: Sequence[Spent], size: Size, memory: float) -> Load:
    beats = sum(each.window.beats for each in seen)
    if not beats:
        raise Unavailable(f"no heartbeat was answered: {seen[0].window.errors}")
    return Load(
        beats=beats / (len(seen) * size.seconds),
        failed=sum(each.window.failed for each in seen),
        milliseconds=statistics.median(each.window.milliseconds[1] for each in seen),
        hub=1e6 * sum(each.cpu[0] for each in seen) / beats,
        mongod=1e6 * sum(each.cpu[1] for each in seen) / beats,
        memory=memory,
    )


async def _killed(folder: Path, size: Size) -> tuple[int, int]:
    """How many acknowledged beats are missing afterwards, and on how many devices the count is wrong."""
    hub, enough = BenchHub(folder / "killed", heartbeat=size.period), folder / "enough"
    async with hub.running():
        device_ids, tokens = await hub.enrol(size.agents)
        async with _agents(hub, tokens, size, enough) as agents:
            for child, start in ((hub.hub, hub.start_hub), (hub.mongod, hub.start_mongod)):
                await asyncio.sleep(size.pause)
                say(f"{child.name} is killed")
                await hub.kill(child)
                await start()
            await asyncio.sleep(size.pause + size.period)
            enough.touch()
            acknowledged = await _acknowledged(agents)
        return await _checked(hub, device_ids, acknowledged)


async def _acknowledged(agents: LoadProcess) -> Acknowledged:
    while not (line := await agents.line()).startswith(b"["):  # it is a window's
        pass
    return msgspec.json.decode(line, type=Acknowledged)


async def _checked(hub: BenchHub, device_ids: Sequence[DeviceId], acknowledged: Sequence[int]) -> tuple[int, int]:
    lost = miscounted = 0
    mongo = Mongo(hub.settings.mongo)
    try:
        records = await IntakeStore(mongo.database).records(device_ids)
        health = HealthStore(mongo.database)
        for device_id, last in zip(device_ids, acknowledged, strict=True):
            intake = records[device_id].intake
            samples = sum(point.samples for point in await health.points(device_id, 0.0, 1e11, 1e7))
            lost += max(0, (last + 1) // 2 - samples)
            miscounted += not intake.accepted == max(intake.marks.values(), default=-1) + 1 == 2 * samples
    finally:
        mongo.close()
    beats = sum(last + 1 for last in acknowledged) // 2
    say(f"of {beats} beats that were acknowledged {lost} are lost; {miscounted} devices are miscounted")
    return lost, miscounted


def _agents(hub: BenchHub, tokens: list[str], size: Size, enough: Path) -> AbstractAsyncContextManager[LoadProcess]:
    crowd = Crowd(
        port=hub.port,
        tokens=tokens,
        period=size.period,
        seconds=size.seconds,
        connections=min(CONNECTIONS, size.agents),
        ca=hub.ca,
        until_file=str(enough),
    )
    return loading("bench.agents", crowd)


def _cpu(hub: BenchHub) -> list[float]:
    """Seconds, of each process alone."""
    return [sum(psutil.Process(pid).cpu_times()[:2]) for pid in hub.pids]
