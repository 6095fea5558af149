"""Bad networks and wrong clocks: `train` neither hangs nor exits nor gives up, and each reply counts once."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from fault_proxy import Fault, FaultProxy
from session_lab import APPS, Device, Hub, rounds, training

from flip_demo.ports import free_port

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[Hub]:
    hub = Hub(folder / "hub", mongo_url)
    await hub.start()
    yield hub
    await hub.stop()


async def test_every_call_meets_every_fault_and_each_round_has_its_reply_once(hub: Hub, folder: Path) -> None:
    device = await Device.enrolled(hub, folder / "a")
    proxy = FaultProxy(hub.settings, free_port(), list(Fault))
    device.reach(proxy.address)
    out = folder / "out"
    run_id = await hub.submit(APPS / "counting", devices=1, num_server_rounds=8, size=3_000_000, out=str(out))
    async with proxy.running(), training(device) as (run,):
        assert (await hub.finished(run_id)).run.status == "finished"
        async with asyncio.timeout(120):
            while run.steps().count("delivered") < 8:
                await asyncio.sleep(0.05)
    assert [(each["replies"], each["errors"]) for each in rounds(out)] == [(1, [])] * 8
    assert [each["mean"] for each in rounds(out)] == [float(number + 1) for number in range(8)]
    assert [each["calls"] for each in rounds(out)] == [float(number + 1) for number in range(8)]
    assert min(proxy.met[name] for name in ("push-messages", "push-object", "pull-messages")) >= len(Fault)
    assert (await hub.late(run_id)).kept == []


async def test_a_device_away_for_longer_than_flower_s_patience_answers_in_its_round(hub: Hub, folder: Path) -> None:
    """Flower's own nodes beat every 30 s and are given up after 60; shortened here to 10 and 20."""
    device = await Device.enrolled(hub, folder / "a", lease=60.0)
    proxy = FaultProxy(hub.settings, free_port(), [])
    device.reach(proxy.address)
    out, calls = folder / "out", folder / "calls"
    run_id = await hub.submit(APPS / "counting", devices=1, num_server_rounds=1, out=str(out), calls=str(calls))
    async with proxy.running(), training(device) as (run,):
        async with asyncio.timeout(60):
            while not calls.exists():
                await asyncio.sleep(0.02)
        proxy.away = True
        await asyncio.sleep(25.0)  # longer than the patience of a node that beats every ten seconds
        assert not out.exists()
        proxy.away = False
        assert (await hub.finished(run_id)).run.status == "finished"
        async with asyncio.timeout(60):
            while "delivered" not in run.steps():
                await asyncio.sleep(0.05)
    assert [(each["replies"], each["errors"]) for each in rounds(out)] == [(1, [])]
    assert (await hub.late(run_id)).kept == []


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
async def test_a_whole_round_works_with_a_clock_that_is_an_hour_wrong(hub: Hub, folder: Path, ahead: float) -> None:
    device = await Device.enrolled(hub, folder / "a")
    out = folder / "out"
    run_id = await hub.submit(APPS / "counting", devices=1, out=str(out))
    async with training(device, clock_ahead=ahead) as (run,):
        assert (await hub.finished(run_id)).run.status == "finished"
        async with asyncio.timeout(60):
            while run.steps().count("delivered") < 2:
                await asyncio.sleep(0.05)
    assert [(each["replies"], each["mean"]) for each in rounds(out)] == [(1, 1.0), (1, 2.0)]
