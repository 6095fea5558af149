"""Events reach the hub once it is there, are deleted only when it has them, and a bad one harms no other."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest
from agent_rig import Agent, eventually
from delivery import delivering, emptied
from fake_hub import FakeHub, started

from flip_agent.hub.client import HubClient
from flip_agent.hub.link import HubLink
from flip_agent.identity import load_identity
from flip_agent.outbox.outbox import Outbox
from flip_runtime.errors import Unavailable
from flip_wire.telemetry import Batch, BatchAccepted, Gap, Priority, Seq, SessionEvent

pytestmark = pytest.mark.asyncio


class Device:
    def __init__(self, outbox: Outbox, link: HubLink) -> None:
        self.outbox = outbox
        self.link = link

    async def say(self, kind: str, count: int = 1) -> None:
        event = SessionEvent(run_id="run-1", message_id="m", step="trained")
        for _ in range(count):
            await self.outbox.append(Priority.FEDERATION, kind, event)


@asynccontextmanager
async def enrolled(folder: Path, hub: FakeHub) -> AsyncGenerator[Device]:
    """With a running uplink; the hub must be up for the enrolment."""
    agent = Agent(folder)
    await asyncio.to_thread(agent.enrol, hub)
    identity = load_identity(agent.state)
    assert identity is not None
    link = HubLink()
    with closing(HubClient(identity, agent.state, link)) as client:
        async with delivering(folder / "outbox.db", client) as outbox:
            yield Device(outbox, link)


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


async def test_an_appended_event_is_delivered_at_once_and_then_deleted(folder: Path, hub: FakeHub) -> None:
    with started(hub):
        async with enrolled(folder, hub) as device:
            await device.say("session", 3)
            await eventually(lambda: hub.kinds() == ["session"] * 3)
            await emptied(device.outbox)


async def test_events_stay_until_the_hub_has_taken_them(folder: Path, hub: FakeHub) -> None:
    with started(hub):
        async with enrolled(folder, hub) as device:
            hub.busy = 3
            await device.say("session", 2)
            await eventually(lambda: hub.busy < 3)
            assert await device.outbox.depth() == 2 or hub.busy == 0
            await emptied(device.outbox)
    assert hub.kinds() == ["session"] * 2
    seqs = [event.seq for event in hub.events]
    assert seqs == sorted(seqs)


async def test_a_hub_that_goes_and_comes_back_gets_everything_and_is_mentioned_once(
    folder: Path, hub: FakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with started(hub):
        async with enrolled(folder, hub) as device:
            await device.say("before")
            await emptied(device.outbox)
            hub.stop()
            await device.say("during", 5)
            await eventually(lambda: not device.link.state.value.connected)
            assert device.link.state.value.detail.startswith("unreachable")
            hub.start(hub.port)
            await emptied(device.outbox)
    assert hub.kinds() == ["before", *["during"] * 5]
    said = [record.message for record in caplog.records if record.name == "flip_agent.hub.link"]
    assert said == ["hub found", "hub lost, trying again", "hub found"]


async def test_one_bad_event_becomes_a_gap_and_the_others_arrive(folder: Path, hub: FakeHub) -> None:
    hub.refused_kinds = {"bad"}
    hub.busy = 1
    with started(hub):
        async with enrolled(folder, hub) as device:
            await device.say("good", 6)
            await device.say("bad")
            await device.say("good", 6)
            await emptied(device.outbox)
            assert await device.outbox.dropped() == 1
    assert hub.kinds().count("good") == 12
    (gap,) = [msgspec.json.decode(event.body, type=Gap) for event in hub.events if event.kind == "gap"]
    assert (gap.count, gap.priority) == (1, Priority.FEDERATION)
    assert "refused by the hub" in gap.reason


async def test_a_token_that_the_hub_no_longer_takes_is_renewed(folder: Path, hub: FakeHub) -> None:
    with started(hub):
        async with enrolled(folder, hub) as device:
            await device.say("session")
            await emptied(device.outbox)
            hub.forget_tokens()
            await device.say("session")
            await emptied(device.outbox)
    assert hub.tokens_given == 2
    assert hub.kinds() == ["session"] * 2


async def test_a_device_whose_clock_is_wrong_signs_by_the_hubs(folder: Path, hub: FakeHub) -> None:
    hub.clock_ahead = 7200.0
    with started(hub):
        async with enrolled(folder, hub) as device:
            await device.say("session")
            await emptied(device.outbox)
            assert device.link.clock_offset == pytest.approx(7200.0, abs=30)


async def test_batches_say_when_they_left(folder: Path, hub: FakeHub) -> None:
    with started(hub):
        async with enrolled(folder, hub) as device:
            await device.say("session")
            await emptied(device.outbox)
    (batch,) = hub.batches
    assert batch.sent is not None
    assert batch.sent.boot_id == batch.events[0].at.boot_id
    assert batch.sent.monotonic >= batch.events[0].at.monotonic


class Scripted(HubClient):
    """Answers as it is told, or never."""

    def __init__(self, *answers: BatchAccepted | Exception | None) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def send(self, batch: Batch) -> BatchAccepted:
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else BatchAccepted(priority=batch.priority, up_to=Seq(2**40))
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        return answer


async def test_a_hub_that_takes_the_call_and_never_answers_is_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flip_agent.uplink._ANSWERED_WITHIN", 0.05)
    hub = Scripted(None, None)
    async with delivering(folder / "outbox.db", hub) as outbox:
        await outbox.append(Priority.LOG, "log", SessionEvent(run_id="r", message_id="m", step="trained"))
        await emptied(outbox)
    assert hub.asked == 3


async def test_an_answer_to_another_batch_deletes_nothing(folder: Path) -> None:
    hub = Scripted(
        BatchAccepted(priority=Priority.ALERT, up_to=Seq(99)), BatchAccepted(priority=Priority.LOG, up_to=Seq(0)), None
    )
    async with delivering(folder / "outbox.db", hub) as outbox:
        await outbox.append(Priority.LOG, "log", SessionEvent(run_id="r", message_id="m", step="trained"))
        await eventually(lambda: hub.asked == 3)
        assert await outbox.depth() == 1


async def test_the_hub_is_left_alone_for_as_long_as_it_asks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    pause = asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await pause(0)

    monkeypatch.setattr("flip_agent.uplink.asyncio.sleep", sleep)
    hub = Scripted(Unavailable("busy", retry_after=7.0))
    async with delivering(folder / "outbox.db", hub) as outbox:
        await outbox.append(Priority.LOG, "log", SessionEvent(run_id="r", message_id="m", step="trained"))
        while await outbox.depth():
            await pause(0.01)
    assert slept[0] == 7.0
