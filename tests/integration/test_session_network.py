"""Bad networks and wrong clocks: `train` neither hangs nor exits nor gives up, and each reply counts once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fault_proxy import Fault, FaultProxy
from session_lab import APPS, Device, Hub, rounds, training
from thin_link import ThinLink

from flip_demo.ports import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHUNK = 5 * 2**20
"""Bytes of an array that Flower sends as one object."""


async def test_every_call_meets_every_fault_and_each_round_has_its_reply_once(hub: Hub, folder: Path) -> None:
    device = await Device.enrolled(hub, folder / "a")
    proxy = FaultProxy(hub.settings, free_port(), list(Fault))
    device.reach(proxy.address)
    out = folder / "out"
    run_id = await hub.submit(APPS / "counting", devices=1, num_server_rounds=8, size=3_000_000, out=str(out))
    async with proxy.running(), training(device) as (run,):
        assert (await hub.finished(run_id)).run.status == "finished"
        await run.told("delivered", 8)
    assert [(each["replies"], each["errors"]) for each in rounds(out)] == [(1, [])] * 8
    assert [each["mean"] for each in rounds(out)] == [float(number + 1) for number in range(8)]
    assert [each["calls"] for each in rounds(out)] == [float(number + 1) for number in range(8)]
    assert min(proxy.met[name] for name in ("push-messages", "push-object", "pull-messages")) >= len(Fault)
    assert await hub.late(run_id) == []


async def test_through_an_outage_a_long_lease_keeps_the_reply_in_its_round_and_a_short_one_does_not(
    hub: Hub, folder: Path
) -> None:
    """Flower's own nodes beat every 30 s and are given up after 60; shortened here to 10 and 20."""
    leases = {"long": 60.0, "short": 10.0}
    devices = [await Device.enrolled(hub, folder / name, lease=lease) for name, lease in leases.items()]
    proxy = FaultProxy(hub.settings, free_port(), [])
    out, calls = folder / "out", folder / "calls"
    for device in devices:
        device.reach(proxy.address)
    slow: dict[str, Any] = {"behave": "slow", "seconds": 3.0}  # nothing of a reply has left when the outage begins
    run_id = await hub.submit(APPS / "counting", num_server_rounds=1, out=str(out), calls=str(calls), **slow)
    async with proxy.running(), training(*devices) as (long, short):
        async with asyncio.timeout(60):
            while not calls.exists() or len(calls.read_text().split()) < 2:
                await asyncio.sleep(0.02)
        proxy.away = True
        await asyncio.sleep(25.0)  # longer than the patience of a node that beats every ten seconds
        assert not out.exists()
        proxy.away = False
        assert (await hub.finished(run_id)).run.status == "finished"
        await long.told("delivered")
        await short.told("late")
    (only,) = rounds(out)
    assert (only["replies"], only["mean"]) == (2, 1.0)
    (error,) = only["errors"]
    (kept,) = await hub.late(run_id)
    assert "its round went on without it" in kept.reason
    assert error.partition(": ")[2] in kept.reason
    assert len(calls.read_text().split()) == 2


async def test_an_upload_that_is_cut_again_and_again_goes_on_from_the_last_chunk_that_was_stored(
    hub: Hub, folder: Path
) -> None:
    parameters, cuts = 5_000_000, 5
    size = 4 * parameters
    device = await Device.enrolled(hub, folder / "a")
    link = ThinLink(hub.settings, free_port(), rate=3 * 2**20, size=size, cuts=cuts)
    device.reach(link.address)
    out, calls = folder / "out", folder / "calls"
    model: dict[str, Any] = {"size": parameters, "varied": True}
    run_id = await hub.submit(
        APPS / "counting", devices=1, num_server_rounds=1, out=str(out), calls=str(calls), **model
    )
    async with link.running(), training(device) as (run,):
        assert (await hub.finished(run_id)).run.status == "finished"
        await run.told("delivered")
    assert [(each["replies"], each["errors"]) for each in rounds(out)] == [(1, [])]
    assert len(calls.read_text().split()) == 1
    assert link.cuts_left == 0
    assert len(link.passed) >= 4  # chunks of 5 MiB
    assert set(link.passed.values()) == {1}
    assert size < link.sent <= size + cuts * CHUNK + 2**16
    assert await hub.late(run_id) == []


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
async def test_a_whole_round_works_with_a_clock_that_is_an_hour_wrong(hub: Hub, folder: Path, ahead: float) -> None:
    device = await Device.enrolled(hub, folder / "a")
    out = folder / "out"
    run_id = await hub.submit(APPS / "counting", devices=1, out=str(out))
    async with training(device, clock_ahead=ahead) as (run,):
        assert (await hub.finished(run_id)).run.status == "finished"
        await run.told("delivered", 2)
    assert [(each["replies"], each["mean"]) for each in rounds(out)] == [(1, 1.0), (1, 2.0)]
