"""What a device has trained reaches its round once, whatever happens meanwhile."""

import asyncio
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import motor.motor_asyncio
import psutil
import pytest
from full_disk import fill, small_disk
from session_lab import APPS, Device, Hub, rounds, training

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNTING = APPS / "counting"
FULL_FOR = 6.0
"""Seconds."""


async def test_a_reply_that_counted_before_the_device_was_killed_is_delivered_though_the_run_is_over(
    hub: Hub, folder: Path
) -> None:
    device = await Device.enrolled(hub, folder / "a", idle_exit=0.5)
    run_id = await hub.submit(COUNTING, devices=1, num_server_rounds=1, out=str(folder / "out"))
    async with training(device, die="before:pushed") as (run,):
        assert await device.ended() == -signal.SIGKILL
        assert (await hub.finished(run_id)).run.status == "finished"
        device.start()
        await run.told("delivered")
        await run.announce()
        assert await device.ended() == 0
    assert run.steps() == ["pulled", "training", "trained", "delivered"]
    assert [each["replies"] for each in rounds(folder / "out")] == [1]
    assert await hub.late(run_id) == []


async def test_training_waits_while_it_is_held_and_goes_on_by_itself(hub: Hub, folder: Path) -> None:
    device = await Device.enrolled(hub, folder / "c", idle_exit=0.5)
    out, calls = folder / "out", folder / "calls"
    run_id = await hub.submit(COUNTING, devices=1, num_server_rounds=1, out=str(out), calls=str(calls))
    async with training(device) as (run,):
        await run.hold("the battery is at 12 %")
        await run.training("held")
        assert not calls.exists()
        await run.hold("")
        assert (await hub.finished(run_id)).run.status == "finished"
        await run.told("delivered")
    assert rounds(out)[0]["errors"] == []


async def test_what_cuts_off_the_whole_session_again_and_again_becomes_an_error_reply(hub: Hub, folder: Path) -> None:
    device = await Device.enrolled(hub, folder / "d", attempts=2)
    out, calls = folder / "out", folder / "calls"
    run_id = await hub.submit(
        COUNTING, devices=1, num_server_rounds=1, out=str(out), calls=str(calls), behave="kill-session"
    )
    async with training(device) as (run,):
        for _ in range(2):
            assert await device.ended() == -signal.SIGKILL
            device.start()
        assert (await hub.finished(run_id)).run.status == "finished"
        await run.told("delivered")
    (said,) = rounds(out)[0]["errors"]
    assert "cut off 2 times" in said
    assert run.steps() == ["pulled", "training", "failed", "delivered"]
    assert len(calls.read_text().split()) == 2


async def test_a_damaged_session_file_is_moved_aside_reported_and_the_session_starts_over(
    hub: Hub, folder: Path
) -> None:
    device = await Device.enrolled(hub, folder / "e", idle_exit=0.5)
    state = device.settings.agent.state
    run_id = await hub.submit(COUNTING, devices=1, out=str(folder / "out"))
    async with training(device, die="after:ready") as (run,):
        assert await device.ended() == -signal.SIGKILL
        for name in ("session.db", "session.db-wal"):
            (state / name).write_bytes(b"rubbish " * 1000)
        device.start()
        await run.told("failed")
        await run.training("waiting")
        await asyncio.to_thread(hub.api.stop_run, run_id)
    assert (state / "session.db.damaged").exists()
    assert "session.db was damaged" in run.events[-1].detail
    assert [(gap.count, gap.reason) for gap in run.gaps] == [(0, "train: number unknown: session.db was damaged")]


async def test_the_worker_is_there_for_the_length_of_a_run_and_gone_afterwards(hub: Hub, folder: Path) -> None:
    device = await Device.enrolled(hub, folder / "f")
    calls = folder / "calls"
    run_id = await hub.submit(COUNTING, devices=1, num_server_rounds=3, out=str(folder / "out"), calls=str(calls))
    async with training(device) as (run,):
        assert (await hub.finished(run_id)).run.status == "finished"
        (worker,) = set(calls.read_text().split())
        await run.announce()
        async with asyncio.timeout(60):
            while psutil.pid_exists(int(worker)):
                await asyncio.sleep(0.05)


async def test_an_app_that_nobody_has_signed_is_refused_with_a_reply_that_names_the_way_out(
    hub: Hub, folder: Path
) -> None:
    device = await Device.enrolled(hub, folder / "i")
    run_id = await hub.submit(COUNTING, devices=1, num_server_rounds=1, out=str(folder / "out"))
    mongo = hub.settings.mongo
    client: motor.motor_asyncio.AsyncIOMotorClient[dict[str, object]]
    with closing(client := motor.motor_asyncio.AsyncIOMotorClient(mongo.url)):  # as of a hub that does not look
        done = await client[mongo.database]["apps"].update_many({}, {"$set": {"signatures": []}})
        assert done.modified_count == 1
    async with training(device) as (run,):
        ended = (await hub.finished(run_id)).run
        assert ended.status == "finished", ended.reason
        await run.told("delivered")
    (said,) = rounds(folder / "out")[0]["errors"]
    assert "nobody has signed the app (flip-hub apps sign APP --key FILE)" in said
    assert run.steps() == ["refused", "delivered"]


async def test_a_session_on_a_full_disk_keeps_its_reply_and_the_instruction_that_comes_until_there_is_room(
    hub: Hub, folder: Path
) -> None:
    out, calls = folder / "out", folder / "calls"
    told_to: dict[str, Any] = {"devices": 1, "num_server_rounds": 1, "out": str(out), "calls": str(calls)}
    with small_disk(folder / "disk", 16 * 2**20) as disk:
        device = await Device.enrolled(hub, disk / "h")
        run_id = await hub.submit(COUNTING, **told_to)
        async with training(device, die="after:ready") as (run,):
            assert await device.ended() == -signal.SIGKILL
            fill(disk)
            device.start()
            await asyncio.sleep(FULL_FOR)
            fill(disk).unlink()
            assert (await hub.finished(run_id)).run.status == "finished"
            await run.told("delivered")
            await run.training("waiting")
            fill(disk)
            run_id = await hub.submit(COUNTING, **told_to)
            await asyncio.sleep(FULL_FOR)  # long enough for several pulls
            assert run.steps()[-1] == "delivered"
            fill(disk).unlink()
            assert (await hub.finished(run_id)).run.status == "finished"
            await run.told("delivered", 2)
    assert run.steps() == ["pulled", "training", "trained", "delivered"] * 2
    assert len(calls.read_text().split()) == 2
    assert [each["replies"] for each in rounds(out)] == [1, 1]
