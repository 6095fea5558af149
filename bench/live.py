"""Two hundred consoles that watch while devices change: how long from what a device says until a console knows.

Fifty devices change their state each second (what holds their training), over plain HTTP on loopback; each change is a
frame for each of the watchers, who are one process of their own (`bench.watchers`). Time runs from before the batch is
sent until its frame is there. None may be missed.
"""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import msgspec

from bench.calm import undisturbed
from bench.hubs import BenchHub
from bench.load_process import loading
from bench.progress import say
from bench.report import Verdict, at_least, at_most
from bench.watchers import Seen, Watchers, mark_now
from flip_hub.auth.permissions import Role
from flip_runtime.errors import Unavailable
from flip_wire.fleet import ReportedState
from flip_wire.telemetry import Batch, Event, Priority, Seq, Stamp
from flip_wire.version import HEADER, WIRE_VERSION

CHANGES = 50
"""A second; so many devices, too: each changes once a second."""


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    watchers, seconds = (50, 8) if quick else (200, 30)
    hub = BenchHub(folder / "hub")
    async with hub.running():
        _, tokens = await hub.enrol(CHANGES)
        token = await hub.log_in(Role.VIEWER)
        seen, sent = await undisturbed(lambda: _watched(hub, token, tokens, watchers, seconds))
    say(f"{sent} changes, {watchers} watchers, ms {seen.milliseconds}, lagged {seen.lagged} times")
    return {
        "watchers": at_least(watchers, len(seen.frames)),
        "changes_per_second": at_least(0.97 * CHANGES, sent / seconds),
        "p95_ms": at_most(250.0, seen.milliseconds[1]),
        "frames_missed": at_most(0, sum(sent - frames for frames in seen.frames)),
    }


async def _watched(hub: BenchHub, token: str, devices: list[str], count: int, seconds: int) -> tuple[Seen, int]:
    """What the watchers saw, and how many changes there were."""
    enough, url = hub.folder / "enough", hub.settings.hub.public_url
    enough.unlink(missing_ok=True)
    watchers = Watchers(url=url, token=token, count=count, until_file=str(enough))
    async with loading("bench.watchers", watchers) as load, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        epoch, began = f"epoch-{time.monotonic_ns()}", time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(CHANGES * seconds):
                await asyncio.sleep(max(0.0, began + number / CHANGES - time.monotonic()))
                group.create_task(_change(http, devices[number % CHANGES], epoch, number // CHANGES))
        await asyncio.sleep(1.0)  # frames that are on their way
        enough.touch()
        return await load.told(Seen), CHANGES * seconds


async def _change(http: httpx.AsyncClient, token: str, epoch: str, seq: int) -> None:
    state = ReportedState(generation=0, agent_version="0.1.0", training="held", held_because=mark_now())
    at = Stamp(wall=time.time(), monotonic=time.monotonic(), boot_id=epoch)
    event = Event(seq=Seq(seq), kind="state", at=at, body=msgspec.Raw(msgspec.json.encode(state)))
    batch = msgspec.json.encode(Batch(epoch=epoch, priority=Priority.HEALTH, events=[event], sent=at))
    headers = {"Authorization": f"Bearer {token}", HEADER: str(WIRE_VERSION), "Content-Type": "application/json"}
    answer = await http.post("/api/v1/device/telemetry", content=batch, headers=headers)
    if not answer.is_success:
        raise Unavailable(f"a change was answered {answer.status_code}: {answer.text[:200]}")
