"""A session below a real `flip-agent run` with a byte budget: what it cuts waits for another day, and then counts."""

import asyncio
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from agent_rig import Agent, eventually
from session_lab import APPS, Hub, rounds

from flip_hub.devices.schemas import Device

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY = 2**19
"""Bytes; a round of the run takes a third of it."""
SIZE = 20_000
ROUNDS = 6


async def test_a_run_is_cut_by_the_budget_says_why_everywhere_and_each_round_has_its_reply_once(
    hub: Hub, folder: Path
) -> None:
    folder.mkdir(exist_ok=True)
    agent = Agent(folder, supervise=True, heartbeat=1.0)
    agent.configure("network", daily_bytes=DAY)
    agent.configure("governor", settle=0.1, every=0.1, load_max=0)
    await hub.enrol(agent.state, "thrifty")
    out, calls = folder / "out", folder / "calls"
    told: dict[str, Any] = {"devices": 1, "num_server_rounds": ROUNDS, "out": str(out), "calls": str(calls)}
    run_id = await hub.submit(APPS / "counting", size=SIZE, varied=True, **told)
    with agent.running() as run:
        await eventually(lambda: "waits: today's network budget" in agent.call("status").stdout, within=120)
        assert 1 <= len(rounds(out)) < ROUNDS
        status = agent.status()
        assert status is not None
        assert status.health.network is not None
        assert status.health.network.passed["federation"] > 4 * SIZE * 2
        assert sum(status.health.network.passed.values()) <= DAY + 4 * SIZE + 2**14, "one object may be on its way"

        async with asyncio.timeout(60):
            while not _shown(await asyncio.to_thread(hub.api.devices)):
                await asyncio.sleep(0.1)
        agent.config.write_text(agent.config.read_text().replace(f"daily_bytes = {DAY}", "daily_bytes = 0"))
        run.send_signal(signal.SIGHUP)
        assert (await hub.finished(run_id)).run.status == "finished"
        events = await hub.told("delivered", ROUNDS)
    assert [(each["replies"], each["errors"], each["mean"]) for each in rounds(out)] == [
        (1, [], pytest.approx(number, abs=1e-5)) for number in range(1, ROUNDS + 1)
    ]
    assert Counter(event.step for event in events)["delivered"] == ROUNDS
    assert len(calls.read_text().split()) == ROUNDS, "nothing was trained twice"
    assert await hub.late(run_id) == []


def _shown(devices: list[Device]) -> bool:
    """Whether the hub knows what is left, and why training waits."""
    networks = [device.health.network for device in devices if device.health is not None]
    held = [device.reported.held_because for device in devices if device.reported is not None]
    low = any(each is not None and each.left < DAY // 8 for each in networks)
    return low and any("budget" in each for each in held)
