"""The plug is pulled, again and again: `flip-agent run`, `train` and its worker killed together at random moments."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import psutil
import pytest
import pytest_asyncio
from session_lab import APPS, Device, Hub, rounds

from flip_wire.telemetry import SessionEvent

pytestmark = pytest.mark.asyncio

KILLS = 50
ROUNDS = 20
LONGEST_LIFE = 2.0
"""Seconds; a message takes about one and a half with a worker that is not yet warm."""


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[Hub]:
    hub = Hub(folder / "hub", mongo_url)
    await hub.start()
    yield hub
    await hub.stop()


@contextmanager
def agent(device: Device, log: Path) -> Generator[None]:
    """`flip-agent run` and `flip-agent train`; at the end all that has come of them is killed."""
    environment = {
        **os.environ,
        "FLIP_AGENT__STATE": str(device.settings.agent.state),
        "FLIP_AGENT__SUPERVISE": "false",
    }
    with log.open("ab") as output:
        command = [sys.executable, "-m", "flip_agent", "run"]
        run = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    device.start()
    try:
        yield
    finally:
        for pid in [run.pid, device.pid, *children(device.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run.wait()
        device.kill()


def children(pid: int) -> list[int]:
    with suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []


async def test_every_update_is_aggregated_once_and_every_event_told_once_through_fifty_kills(
    hub: Hub, folder: Path
) -> None:
    device = await Device.enrolled(hub, folder / "a", attempts=1000)
    out, calls, log = folder / "out", folder / "calls", folder / "log"
    run_id = await hub.submit(APPS / "counting", devices=1, num_server_rounds=ROUNDS, out=str(out), calls=str(calls))
    moments = random.Random(7)  # the same ones each time, as far as a busy machine allows
    for _ in range(KILLS):
        with agent(device, log):
            await asyncio.sleep(moments.uniform(0.0, LONGEST_LIFE))
    with agent(device, log):
        assert (await hub.finished(run_id)).run.status == "finished"
        told = await events(hub, ROUNDS)
    assert [(each["replies"], each["errors"]) for each in rounds(out)] == [(1, [])] * ROUNDS
    assert [each["mean"] for each in rounds(out)] == [float(number + 1) for number in range(ROUNDS)]
    assert [each["calls"] for each in rounds(out)] == [float(number + 1) for number in range(ROUNDS)]
    assert Counter(step for _, step in told) == dict.fromkeys(("pulled", "training", "trained", "delivered"), ROUNDS)
    assert len(told) == len(set(told))
    assert (await hub.late(run_id)).kept == []


async def events(hub: Hub, delivered: int) -> list[tuple[str, str]]:
    """Message and step of all session events, once that many were delivered."""
    (device,) = await asyncio.to_thread(hub.api.devices)
    async with asyncio.timeout(60):
        while True:
            found = await asyncio.to_thread(hub.api.events, device.id, 1000)
            told = [msgspec.json.decode(each.body, type=SessionEvent) for each in found if each.kind == "session"]
            if sum(each.step == "delivered" for each in told) >= delivered:
                return [(each.message_id, each.step) for each in told]
            await asyncio.sleep(0.2)
