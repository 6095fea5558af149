"""A reply that no round takes any more is given to the hub once, and none is both counted and late."""

import asyncio
import contextlib
import hashlib
import itertools
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from fault_proxy import Fault, FaultProxy
from flwr.proto.message_pb2 import ObjectTree
from session_lab import APPS, Device, Hub, rounds, training

from flip_agent.federation.contribution_client import ContributionClient
from flip_agent.federation.flower import Instruction, Item, Reply
from flip_agent.federation.node_auth import NodeAuth
from flip_agent.identity import load_identity
from flip_demo.mongod import mongod_command
from flip_demo.ports import free_port
from flip_hub.contributions.late import ASK_AGAIN
from flip_runtime.child import Child, port_open
from flip_wire.models import Sha256

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNTING = APPS / "counting"


async def test_a_reply_to_a_run_that_was_stopped_is_kept_by_the_hub(hub: Hub, folder: Path) -> None:
    device = await Device.enrolled(hub, folder / "b", idle_exit=0.5)
    run_id = await hub.submit(COUNTING, devices=1, out=str(folder / "out"))
    async with training(device, die="after:ready") as (run,):
        assert await device.ended() == -signal.SIGKILL
        await asyncio.to_thread(hub.api.stop_run, run_id)
        device.start()
        await run.told("late")
        await run.announce()
        assert await device.ended() == 0
    assert run.steps() == ["pulled", "training", "trained", "late"]
    (kept,) = await hub.late(run_id)
    assert "the run had ended" in kept.reason
    assert (kept.round, kept.phase) == (1, "train")
    assert kept.size > 4000  # bytes of a thousand float32


async def test_a_reply_that_a_restarted_hub_asks_for_once_more_is_given_and_not_trained_again(
    hub: Hub, folder: Path
) -> None:
    device = await Device.enrolled(hub, folder / "g", idle_exit=0.5)
    calls = folder / "calls"
    run_id = await hub.submit(COUNTING, devices=1, num_server_rounds=1, out=str(folder / "out"), calls=str(calls))
    async with training(device, die="after:ready") as (run,):
        assert await device.ended() == -signal.SIGKILL
        await hub.stop()
        device.start()
        await hub.start()
        await run.told("delivered")
        assert (await hub.finished(run_id)).run.status == "finished"
    assert len(calls.read_text().split()) == 1
    assert await hub.late(run_id) == []


async def late_at(hub: Hub, device: Device, folder: Path, size: int = 1000) -> str:
    """A run whose device has a reply that no round will take, and is not running. Gives the run's id."""
    run_id = await hub.submit(COUNTING, devices=1, size=size, out=str(folder / "out"))
    async with training(device, die="after:ready"):
        assert await device.ended() == -signal.SIGKILL
    await asyncio.to_thread(hub.api.stop_run, run_id)
    return run_id


async def test_a_late_reply_is_kept_once_though_the_hub_is_busy_and_answers_are_lost(hub: Hub, folder: Path) -> None:
    device = await Device.enrolled(hub, folder / "i", idle_exit=0.5)
    run_id = await late_at(hub, device, folder, size=3_000_000)
    faults = [Fault.STATUS_429, Fault.STATUS_503, Fault.CUT_AFTER, Fault.TWICE, Fault.GARBAGE]
    proxy = FaultProxy(hub.settings, free_port(), faults)
    device.reach(proxy.address)
    async with proxy.running(), training(device) as (run,):
        await run.told("late", within=240.0)
        await run.announce()
        assert await device.ended() == 0
    assert proxy.met["late"] > 4, "the announcement met the busy hub, and the one that was away"
    assert proxy.met["objects"] > 4
    assert run.steps() == ["trained", "late"]
    (kept,) = await hub.late(run_id)
    assert kept.size > 12_000_000


async def test_a_device_waits_for_room_at_the_hub_for_as_long_as_it_takes(hub: Hub, folder: Path) -> None:
    """Four replies of one device may be on their way: others of its own take their room, and send nothing."""
    device = await Device.enrolled(hub, folder / "j", idle_exit=0.5)
    run_id = await late_at(hub, device, folder)
    blocking = [Item(object_id=hashlib.sha256(name).hexdigest(), content=name) for name in (b"a", b"b", b"c", b"d")]
    state = device.settings.agent.state
    identity = load_identity(state)
    assert identity is not None
    client = ContributionClient(identity.fleet_address, NodeAuth((state / "device.key").read_bytes()), identity.ca)
    for item in blocking:
        assert await announced(client, item) == [item.object_id]
    proxy = FaultProxy(hub.settings, free_port(), [])
    device.reach(proxy.address)
    async with proxy.running(), training(device) as (run,):
        async with asyncio.timeout(120):
            while proxy.met["late"] < 3:
                await asyncio.sleep(0.05)
        assert "late" not in run.steps()
        assert await hub.late(run_id) == []
        await asyncio.to_thread(client.put, blocking[0])
        assert await announced(client, blocking[0]) == []
        await run.told("late")
    client.close()
    first, second = proxy.heard["late"][:2]
    assert second - first >= ASK_AGAIN, "it waits as long as the hub asks, and a little more"
    assert len(await hub.late(run_id)) == 1


async def announced(client: ContributionClient, item: Item) -> list[Sha256]:
    """A reply of that one object; what is lacking of it."""
    instruction = Instruction(run_id="1", node_id="1", message_id=f"late-{item.object_id}", message=b"", tree=b"")
    reply = Reply(message=b"head", tree=ObjectTree(object_id=item.object_id).SerializeToString())
    return await asyncio.to_thread(client.announce, instruction, reply, len(item.content), 1.0, "too late")


class Registry:
    """A mongod of a test's own, that may be pulled from under the hub."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self._command = mongod_command(self._port, folder / "data")
        self._log = folder / "log"
        self.url = f"mongodb://127.0.0.1:{self._port}"

    async def start(self) -> None:
        self._process = Child("mongod", self._command, log_file=self._log)
        await self._process.start()
        await self._process.wait_until(lambda: port_open(self._port), within=60)

    async def die(self) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> None:
        await self._process.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def mortal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[tuple[Registry, Hub]]:
    """A hub whose registry may die, and whose ServerApps soon give up reporting."""
    monkeypatch.setenv("FLIP_SUPERLINK__PATIENCE", "0.2")
    registry = Registry(folder / "registry")
    hub = Hub(folder / "hub", registry.url)
    await registry.start()
    try:
        await hub.start()
        yield registry, hub
    finally:
        await hub.stop()
        await registry.stop()


@pytest.mark.parametrize("killed", [False, True], ids=["to its end", "killed after the aggregate"])
async def test_no_reply_is_counted_and_late_though_no_report_of_it_reached_the_hub(
    mortal: tuple[Registry, Hub], folder: Path, killed: bool
) -> None:
    """The registry dies with the reply at the SuperLink, and comes back when the ServerApp has given up reporting."""
    registry, hub = mortal
    device = await Device.enrolled(hub, folder / "h", idle_exit=0.5)
    out, calls = folder / "out", folder / "calls"
    config = {"out": str(out), "calls": str(calls), "behave": "slow", "seconds": 2.0}
    run_id = await hub.submit(COUNTING, devices=1, num_server_rounds=2 if killed else 1, **config)
    async with training(device) as (run,):
        await run.told("training")
        app = await serverapp(hub)
        app.suspend()
        await run.told("trained")
        await run.training("waiting")
        await registry.die()
        app.resume()
        async with asyncio.timeout(30):
            while not rounds(out):
                await asyncio.sleep(0.02)
            if killed:
                app.kill()
            while alive(app):
                await asyncio.sleep(0.05)
        assert run.steps() == ["pulled", "training", "trained"]
        await registry.start()
        await run.told("delivered")
        assert (await hub.finished(run_id)).run.status == "finished"
    # The ServerApp that takes the run on may aggregate the first round once more: its checkpoint may be missing.
    expected = [1, 2] if killed else [1]
    assert [round_number for round_number, _ in itertools.groupby(each["mean"] for each in rounds(out))] == expected
    assert all(each["replies"] == 1 for each in rounds(out))
    assert len(calls.read_text().split()) == len(expected), "nothing is trained again"
    assert "late" not in run.steps()
    assert await hub.late(run_id) == []


async def serverapp(hub: Hub) -> psutil.Process:
    async with asyncio.timeout(60):
        while True:
            for process in psutil.Process(hub.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if "flip_hub.federation.aggregator.launcher" in process.cmdline():
                        return process
            await asyncio.sleep(0.05)


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
