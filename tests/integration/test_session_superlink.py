"""The SuperLink dies under a session, which neither hangs nor leaves nor asks all the time, and loses nothing."""

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


async def test_a_session_outlives_the_superlink_in_mid_upload_and_in_mid_training_and_trains_nothing_twice(
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

        async def dies(run_id: str, delivered: int) -> None:
            """And what the session does until the run, which goes on, has its reply."""
            began, before = loop.time(), link.calls.total()
            hub.kill_superlink()
            ended = (await hub.finished(run_id)).run
            assert (ended.status, len(ended.earlier)) == ("finished", 1)
            await run.told("delivered", delivered)
            assert link.calls.total() - before < 60 + CALLS_A_SECOND * (loop.time() - began)

        run_id = await hub.submit(APPS / "counting", size=PARAMETERS, varied=True, **told_to)
        await until(lambda: link.sent > 2**20)
        await dies(run_id, delivered=1)
        run_id = await hub.submit(APPS / "counting", behave="slow", seconds=3.0, **told_to)
        await until(lambda: len(calls.read_text().split()) == 2)
        await dies(run_id, delivered=2)
        assert train.is_running()
    assert [each["replies"] for each in rounds(out)] == [1, 1]
    assert run.steps() == ["pulled", "training", "trained", "trained", "delivered"] * 2
    assert len(calls.read_text().split()) == 2
