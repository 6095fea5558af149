"""The SuperLink dies under a session, which neither hangs nor leaves nor asks all the time, and is in the next run."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from session_lab import APPS, Device, Hub, rounds, training
from thin_link import ThinLink

from flip_demo.ports import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARAMETERS = 3_000_000
CALLS_A_SECOND = 10.0
"""At most, all kinds together, beside those that a round needs."""


async def until(condition: Callable[[], bool], within: float = 120.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_session_outlives_the_superlink_in_mid_upload_and_in_mid_training_and_is_in_the_next_run(
    hub: Hub, folder: Path
) -> None:
    device = await Device.enrolled(hub, folder / "a")
    link = ThinLink(hub.settings, free_port(), rate=3 * 2**20, size=4 * PARAMETERS, cuts=0)
    device.reach(link.address)
    out, calls = folder / "out", folder / "calls"
    told_to: dict[str, Any] = {"devices": 1, "num_server_rounds": 1, "out": str(out), "calls": str(calls)}
    loop = asyncio.get_running_loop()
    async with link.running(), training(device) as (run,):
        train = psutil.Process(device.pid)

        async def dies(run_id: str, late: int) -> None:
            """And what the session does until the hub has its reply."""
            began, before = loop.time(), link.calls.total()
            hub.kill_superlink()
            assert (await hub.finished(run_id)).run.status == "failed"
            await run.told("late", late)
            assert link.calls.total() - before < 50 + CALLS_A_SECOND * (loop.time() - began)

        run_id = await hub.submit(APPS / "counting", size=PARAMETERS, varied=True, **told_to)
        await until(lambda: link.sent > 2**20)
        await dies(run_id, late=1)
        run_id = await hub.submit(APPS / "counting", behave="slow", seconds=3.0, **told_to)
        await until(lambda: len(calls.read_text().split()) == 2)
        await dies(run_id, late=2)
        run_id = await hub.submit(APPS / "counting", **told_to)
        assert (await hub.finished(run_id)).run.status == "finished"
        await run.told("delivered")
        assert train.is_running()
    assert rounds(out) == [{"replies": 1, "errors": [], "mean": 1.0, "calls": 1.0}]
    assert run.steps() == [*["pulled", "training", "trained", "late"] * 2, "pulled", "training", "trained", "delivered"]
    assert len(calls.read_text().split()) == 3
