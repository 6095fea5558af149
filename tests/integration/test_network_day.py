"""A real `flip-agent run` keeps within its bytes of a day: alerts go, the rest waits for tomorrow, nothing is lost."""

import asyncio
import signal
from pathlib import Path

import msgspec
import pytest
from agent_rig import Agent, eventually
from fake_hub import FakeHub, started

from flip_agent.local.client import LocalClient
from flip_agent.local.messages import Draw, Drawn, GiveBack, Hold
from flip_agent.models.store import ModelStore
from flip_agent.network.day_account import FILE, Spent, Use
from flip_wire.health import HealthReport
from flip_wire.telemetry import Gap, Priority, Seq, SessionEvent

DAY = 2**19
"""Bytes."""
RESERVE = DAY // 16


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


def a_device(folder: Path, hub: FakeHub, **agent: object) -> Agent:
    device = Agent(folder, **agent)
    device.configure("network", daily_bytes=DAY)
    device.configure("governor", settle=0.1, every=0.05, load_max=0)
    device.enrol(hub)
    return device


def spent(agent: Agent) -> int:
    return sum(msgspec.json.decode((agent.state / FILE).read_bytes(), type=Spent).bytes.values())


def healths(hub: FakeHub) -> list[HealthReport]:
    return [msgspec.json.decode(event.body, type=HealthReport) for event in hub.events if event.kind == "health"]


class Train:
    """Another process of the device: has events, hears what holds it, draws bytes."""

    def __init__(self, agent: Agent) -> None:
        self.heard: list[object] = []
        self.client = LocalClient(agent.run_socket, "train", list, self._hear)

    async def __aenter__(self) -> "Train":
        self._running = asyncio.create_task(self.client.run())
        await eventually(lambda: self.client.connected, within=60)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _hear(self, message: object) -> None:
        self.heard.append(message)

    def holds(self) -> list[str]:
        return [message.because for message in self.heard if isinstance(message, Hold)]

    async def draws(self, wanted: int, beyond: int = 0) -> Drawn:
        number = len(self.heard) + 1000
        await self.client.send(Draw(id=number, wanted=wanted, beyond=beyond))

        def answers() -> list[Drawn]:
            return [each for each in self.heard if isinstance(each, Drawn) and each.id == number]

        await eventually(answers)
        return answers()[0]

    async def alert(self, number: int) -> None:
        gap = Gap(priority=Priority.LOG, first=Seq(0), last=Seq(0), count=number, reason="test")
        await self.client.emit(Priority.ALERT, "gap", gap)

    async def event(self, step: str) -> None:
        await self.client.emit(Priority.FEDERATION, "session", SessionEvent(run_id="1", message_id="m", step=step))


def gaps(hub: FakeHub) -> list[int]:
    return [msgspec.json.decode(event.body, type=Gap).count for event in hub.events if event.kind == "gap"]


@pytest.mark.asyncio
async def test_once_it_is_used_up_alerts_go_all_else_waits_and_the_next_day_everything_comes(
    folder: Path, hub: FakeHub
) -> None:
    version = hub.add_version(1, size=2 * DAY)
    with started(hub):
        agent = await asyncio.to_thread(a_device, folder, hub, heartbeat=0.5)
        with agent.running():
            async with Train(agent) as train:
                hub.want(models=[version])
                await eventually(lambda: any("network budget" in because for because in train.holds()), within=60)
                assert hub.sent <= DAY - RESERVE
                status = await asyncio.to_thread(agent.status)
                assert status is not None
                (failure,) = status.reported.failures
                assert failure.again
                assert f"today's network budget of {DAY:,} bytes is used up; it goes on at" in failure.reason
                shown = (await asyncio.to_thread(agent.call, "status")).stdout
                assert "waits: today's network budget" in shown
                assert f"of {DAY / 2**20:.1f} MiB left today" in shown
                await eventually(lambda: healths(hub)[-1].network is not None, within=60)
                await train.event("trained")
                await train.alert(1)
                await eventually(lambda: gaps(hub) == [1], within=60)
                beats = len(healths(hub))
                assert spent(agent) <= DAY
                await train.alert(2)
                await eventually(lambda: gaps(hub) == [1, 2], within=60)
                assert "session" not in hub.kinds()
                assert len(healths(hub)) <= beats + 1
                hub.clock_ahead = 86400.0
                await train.alert(3)  # by whose answer the device hears that it is tomorrow
                await eventually(lambda: "session" in hub.kinds(), within=60)
                await eventually(lambda: train.holds()[-1] == "", within=60)
                told = [health for health in healths(hub) if health.network and health.network.pace > 5]
                assert told, "the hub was told that heartbeats would be rare"
                assert any(condition.code == "network-used-up" for health in told for condition in health.conditions)


@pytest.mark.asyncio
async def test_a_raised_budget_holds_at_once_and_a_kill_is_no_new_day(folder: Path, hub: FakeHub) -> None:
    version = hub.add_version(1, size=2 * DAY)
    weights = hub.weights_of(version)
    with started(hub):
        agent = await asyncio.to_thread(a_device, folder, hub)
        part = ModelStore(agent.state / "models").part(weights)
        with agent.running() as run:
            hub.want(models=[version])
            await eventually(part.exists, within=60)
            run.send_signal(signal.SIGKILL)
            await asyncio.to_thread(run.wait)
        assert spent(agent) >= part.stat().st_size
        with agent.running() as run:
            async with Train(agent) as train:
                await eventually(lambda: any("network budget" in because for because in train.holds()), within=60)
                assert part.stat().st_size <= DAY - RESERVE
                raised = agent.config.read_text().replace(f"daily_bytes = {DAY}", f"daily_bytes = {8 * DAY}")
                agent.config.write_text(raised)
                run.send_signal(signal.SIGHUP)
                await eventually((agent.state / "models" / "blobs" / weights).exists, within=60)
                await eventually(lambda: train.holds()[-1] == "", within=60)


@pytest.mark.asyncio
async def test_another_process_draws_what_it_exchanges_and_gives_back_what_it_did_not_need(
    folder: Path, hub: FakeHub
) -> None:
    with started(hub):
        agent = await asyncio.to_thread(a_device, folder, hub)
        with agent.running():
            async with Train(agent) as train:
                first = await train.draws(100)
                assert first.limited
                assert 100 <= first.granted <= DAY // 16
                await train.client.send(GiveBack(unused=first.granted))
                most = await train.draws(DAY)
                assert DAY // 2 < most.granted <= DAY - RESERVE
                refused = await train.draws(1)
                assert (refused.granted, refused.limited) == (0, True)
                assert "used up" in refused.because
                await eventually(lambda: any("network budget" in because for because in train.holds()), within=60)
        kept = msgspec.json.decode((agent.state / FILE).read_bytes(), type=Spent)
        assert kept.bytes[Use.FEDERATION] == most.granted
