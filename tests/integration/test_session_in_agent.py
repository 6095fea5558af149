"""The session below a real `flip-agent run`: paused by its governor, on a disk that is full."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from agent_rig import Agent, eventually
from fake_battery import Battery
from fault_proxy import FaultProxy
from full_disk import fill, small_disk
from session_lab import APPS, Hub, reach, rounds

from federation import appears
from flip_demo.ports import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

DISK = 24 * 2**20
FULL_FOR = 5.0
"""Seconds."""
ONE_LIFE = {"pulled": 1, "training": 1, "trained": 1, "delivered": 1}


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    with small_disk(folder / "disk", DISK) as place:
        yield place


async def enrolled(hub: Hub, folder: Path, proxy: FaultProxy, **settings: Any) -> Agent:
    folder.mkdir()
    agent = Agent(folder, supervise=True, **settings)
    await hub.enrol(agent.state, folder.name)
    reach(agent.state, proxy.address)
    return agent


async def test_training_is_paused_in_its_midst_says_why_keeps_its_lease_and_goes_on_by_itself(
    hub: Hub, folder: Path
) -> None:
    proxy = FaultProxy(hub.settings, free_port(), [])
    battery = Battery(folder / "machine")
    agent = await enrolled(hub, folder / "a", proxy, machine=str(folder / "machine"))
    agent.configure("governor", settle=0.1, every=0.05, load_max=0)
    agent.configure("federation", lease=10.0)
    out, calls = folder / "out", folder / "calls"
    slow: dict[str, Any] = {"behave": "slow", "seconds": 2.0}
    run_id = await hub.submit(APPS / "counting", devices=1, num_server_rounds=1, out=str(out), calls=str(calls), **slow)
    async with proxy.running():
        with agent.running():
            await eventually(calls.exists, within=120)
            battery.charge(12)
            worker = psutil.Process(int(calls.read_text()))
            await eventually(lambda: worker.status() == psutil.STATUS_STOPPED, within=60)
            beats = proxy.met["send-node-heartbeat"]
            status = (await asyncio.to_thread(agent.call, "status")).stdout
            assert "held" in status
            assert "battery at 12 %" in status
            await eventually(lambda: proxy.met["send-node-heartbeat"] >= beats + 5, within=120)  # past two leases
            assert worker.status() == psutil.STATUS_STOPPED
            assert not out.exists()
            battery.charge(80)
            assert (await hub.finished(run_id)).run.status == "finished"
            told = await hub.told("delivered")
    assert rounds(out) == [{"replies": 1, "errors": [], "mean": 1.0, "calls": 1.0}]
    assert len(calls.read_text().split()) == 1
    assert Counter(event.step for event in told) == ONE_LIFE


async def test_a_finished_reply_and_a_new_instruction_wait_for_room_on_a_full_disk(
    hub: Hub, folder: Path, disk: Path
) -> None:
    proxy = FaultProxy(hub.settings, free_port(), [])
    agent = await enrolled(hub, folder / "a", proxy, state=str(disk / "state"))
    agent.configure("governor", disk_min=0, load_max=0)
    out, calls = folder / "out", folder / "calls"
    told_to: dict[str, Any] = {"devices": 1, "num_server_rounds": 1, "out": str(out), "calls": str(calls)}
    run_id = await hub.submit(APPS / "counting", behave="slow", seconds=FULL_FOR / 2, **told_to)
    async with proxy.running():
        with agent.running() as run:
            await eventually(calls.exists, within=120)
            train = await appears(lambda: run.pid, "flip_agent", "train")
            proxy.away = True
            async with full(disk):  # when the training ends
                pass
            await hub.told("trained")
            async with full(disk):  # when the reply is delivered
                proxy.away = False
            assert (await hub.finished(run_id)).run.status == "finished"
            await hub.told("delivered")
            async with full(disk):  # when an instruction comes
                run_id = await hub.submit(APPS / "counting", **told_to)
            assert (await hub.finished(run_id)).run.status == "finished"
            told = await hub.told("delivered", 2)
            assert run.poll() is None
            assert train.is_running()
    assert [(each["replies"], each["errors"], each["mean"]) for each in rounds(out)] == [(1, [], 1.0)] * 2
    assert len(calls.read_text().split()) == 2
    assert Counter(event.step for event in told) == {step: 2 * count for step, count in ONE_LIFE.items()}


@asynccontextmanager
async def full(disk: Path) -> AsyncGenerator[None]:
    """For some time, however much is given up meanwhile."""
    loop = asyncio.get_running_loop()
    greedy = fill(disk)
    yield
    until = loop.time() + FULL_FOR
    while loop.time() < until:
        fill(disk)
        await asyncio.sleep(0.02)
    greedy.unlink()
