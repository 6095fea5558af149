"""A real `flip-agent run` holds training while the battery is low, says why to all who ask, and goes on by itself."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from agent_rig import Agent, eventually
from fake_battery import Battery
from fake_hub import FakeHub, started

from flip_agent.local.client import LocalClient
from flip_agent.local.messages import Hold
from flip_wire.fleet import ReportedState, WorkNotice


def told(hub: FakeHub) -> list[str]:
    """Why training waits, as the hub heard it."""
    states = [msgspec.json.decode(event.body, type=ReportedState) for event in hub.events if event.kind == "state"]
    return ["", *(state.held_because for state in states)]


@pytest.mark.asyncio
async def test_training_waits_for_the_battery_and_goes_on_by_itself(folder: Path) -> None:
    hub = FakeHub()
    battery = Battery(folder / "machine")
    agent = Agent(folder, machine=str(folder / "machine"))
    agent.configure("governor", settle=0.1, every=0.05, load_max=0)
    heard: list[object] = []

    async def hear(message: object) -> None:
        heard.append(message)

    def holds() -> list[str]:
        return [message.because for message in heard if isinstance(message, Hold)]

    with started(hub), agent.running():
        await asyncio.to_thread(agent.enrol, hub)
        client = LocalClient(agent.run_socket, "train", list, hear)
        running = asyncio.create_task(client.run())
        try:
            await eventually(lambda: holds() == [""], within=60)
            hub.want(work=[WorkNotice(run_id="run-1")])
            battery.charge(12)
            await eventually(lambda: "battery at 12 %" in holds()[-1], within=60)
            await eventually(lambda: "battery at 12 %" in told(hub)[-1], within=60)
            shown = (await asyncio.to_thread(agent.call, "status")).stdout
            assert "waits: battery at 12 %" in shown
            await eventually(lambda: _holding(agent) == ["training-held"], within=60)
            battery.charge(35)
            battery.charge(80)
            await eventually(lambda: holds()[-1] == "", within=60)
            await eventually(lambda: told(hub)[-1] == "", within=60)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert "training waits" in agent.log.read_text()
    assert "training may run" in agent.log.read_text()


def _holding(agent: Agent) -> list[str]:
    status = agent.status()
    codes = [] if status is None else [condition.code for condition in status.health.conditions]
    return [code for code in codes if code == "training-held"]
