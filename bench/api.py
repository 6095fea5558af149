"""People at their consoles while a fleet trains: how long they wait for a page.

A hundred simulated devices take part in a run (Fleet sessions through the gateway, ten seconds of training each round),
keep their long polls open and send heartbeats; twenty people watch and look at one page after the other. Counted is the
CPU of the hub's side: hub, SuperLink, ServerApp and MongoDB, of all the machine has.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

from bench.agents import Crowd
from bench.calm import undisturbed
from bench.fleets import Fleet, flip_fleet
from bench.load_process import loading
from bench.people import People, Waited
from bench.progress import say
from bench.race import APP
from bench.report import Verdict, at_least, at_most
from bench.sides import Ours
from bench.trees import cpu_seconds
from flip_demo.federation import Federation
from flip_hub.auth.tokens import Tokens
from flip_hub.credentials import load_credentials
from flip_hub.federation.fab import build_fab
from flip_hub.settings import AuthSection

PEOPLE = 20
LOOK = 1.0
"""Seconds that a person looks at a page."""
TRAINING = 10.0
"""Seconds that a device trains in a round."""
HEARTBEAT = 10.0


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    devices, seconds = (20, 15) if quick else (100, 60)
    async with flip_fleet(folder / "flip", devices) as fleet, fleet.devices(devices, settle=TRAINING):
        assert isinstance(fleet.side, Ours)
        federation = fleet.side.federation
        ids = [device.id for device in await asyncio.to_thread(federation.api.devices)]
        tokens = Tokens(load_credentials(federation.layout.hub).token_secret, AuthSection())
        crowd = Crowd(
            port=federation.ports.hub,
            tokens=[tokens.for_device(device).token for device in ids],
            period=HEARTBEAT,
            seconds=60.0,
            connections=devices,
            until_file=str(folder / "agents-enough"),
        )
        async with loading("bench.agents", crowd):
            waited, percent = await undisturbed(lambda: _watched(fleet, federation, folder, seconds))
    say(f"{waited.calls} pages, ms {waited.milliseconds}, {waited.frames} frames, errors {waited.errors}")
    return {
        "people": at_least(PEOPLE, PEOPLE),
        "agents": at_least(devices, len(ids)),
        "p95_ms": at_most(200.0, waited.milliseconds[1]),
        "p99_ms": at_most(400.0, waited.milliseconds[2]),
        "cpu_percent": at_most(80.0, percent),
        "errors": at_most(0, len(waited.errors)),
    }


async def _watched(fleet: Fleet, federation: Federation, folder: Path, seconds: int) -> tuple[Waited, float]:
    """What people waited, and how much of the machine the hub's side took meanwhile."""
    enough, out = folder / "people-enough", folder / "rounds"
    for path in (enough, out):
        path.unlink(missing_ok=True)
    count = len(await asyncio.to_thread(federation.api.devices))
    config = {"num-server-rounds": 1000, "devices": count, "size": 10_000, "seed": 0, "out": str(out)}
    run = await fleet.side.start(build_fab(APP), config)
    while not out.exists():
        await asyncio.sleep(0.2)
    roots = [child.pid for child in (federation.hub.child, federation.mongod.child) if child.pid is not None]
    async with loading("bench.people", await _people(federation, run, str(enough))) as load:
        before, began = cpu_seconds(roots), time.monotonic()
        await asyncio.sleep(seconds)
        percent = 100 * (cpu_seconds(roots) - before) / (time.monotonic() - began) / (os.cpu_count() or 1)
        enough.touch()
        waited = await load.told(Waited)
    await asyncio.to_thread(federation.api.stop_run, run)
    return waited, percent


async def _people(federation: Federation, run: str, until_file: str) -> People:
    devices = await asyncio.to_thread(federation.api.devices)
    paths = ["/api/v1/devices", "/api/v1/runs", f"/api/v1/runs/{run}", "/api/v1/models", "/api/v1/alerts"]
    for device in devices[:5]:
        paths += [f"/api/v1/devices/{device.id}", f"/api/v1/devices/{device.id}/events"]
    password = federation.layout.password.read_text().strip()
    session = await asyncio.to_thread(federation.api.login, "admin", password)
    return People(url=federation.url, token=session.token, count=PEOPLE, paths=paths, look=LOOK, until_file=until_file)
