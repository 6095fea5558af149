"""A whole run in a form that its plan names: the device is asked for it, few bytes leave it, strategies see arrays."""

import asyncio
from pathlib import Path

import pytest
from agent_rig import Agent, eventually
from session_lab import APPS, Hub, fab_of, rounds

from flip_hub.federation.plan import Plan, Update
from flip_hub.federation.schemas import RunRequest

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE = 100_000
"""Entries: 400 kB."""
ROUNDS = 3


async def test_the_same_run_in_4_bits_sends_a_fraction_and_gives_the_same_model(hub: Hub, folder: Path) -> None:
    agent = Agent(folder, supervise=True, heartbeat=1.0)
    agent.configure("network", daily_bytes=2**30)
    agent.configure("governor", settle=0.1, every=0.1, load_max=0)
    await hub.enrol(agent.state, "packing")
    out, calls = folder / "out", folder / "calls"
    uploaded = await asyncio.to_thread(hub.api.upload_app, fab_of(APPS / "counting"))
    config = {"devices": 1, "num-server-rounds": ROUNDS, "out": str(out), "calls": str(calls), "size": SIZE}
    passed: list[int] = []

    async def run(plan: Plan) -> None:
        request = RunRequest(fab_hash=uploaded.fab_hash, config={**config, "varied": True}, plan=plan)
        made = await asyncio.to_thread(hub.api.start_run, request)
        assert (await hub.finished(made.id)).run.status == "finished"
        passed.append(_federation(agent))

    with agent.running():
        await eventually(lambda: (status := agent.status()) and status.hub_connected, within=60)
        await run(Plan())
        await run(Plan(update=Update(codec="int4")))
    floats, packed = passed[0], passed[1] - passed[0]
    assert floats > 2 * ROUNDS * 4 * SIZE, "down and up"
    assert packed < 0.6 * floats, "down as before, up hardly anything"
    told = rounds(out)
    assert [each["errors"] for each in told] == [[]] * (2 * ROUNDS)
    assert [each["mean"] for each in told] == pytest.approx([1, 2, 3, 1, 2, 3], rel=0.01)


def _federation(agent: Agent) -> int:
    status = agent.status()
    assert status is not None
    assert status.health.network is not None
    return status.health.network.passed["federation"]
