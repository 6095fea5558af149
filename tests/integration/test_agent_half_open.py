"""The hub vanishes without closing a connection: everything is delivered once it is back, and counted once."""

import asyncio
import functools
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from agent_rig import Agent, eventually
from cut_link import CutLink
from delivery import delivering, emptied

from core_hub import CoreHub, running_core
from flip_agent.hub.client import HubClient
from flip_agent.hub.connection import HubConnection
from flip_agent.hub.link import HubLink
from flip_agent.identity import load_identity
from flip_agent.outbox.outbox import Outbox
from flip_hub.telemetry.schemas import StoredEvent
from flip_wire.telemetry import Priority, SessionEvent

pytestmark = pytest.mark.asyncio


class Place:
    """A hub with its registry, a device that is enrolled there, and the link between them."""

    def __init__(self, hub: CoreHub, link: CutLink, agent: Agent) -> None:
        self.hub = hub
        self.link = link
        self.agent = agent
        self.identity = load_identity(agent.state)
        assert self.identity is not None

    async def stored(self) -> list[int]:
        """Numbers of the events that the hub has."""
        assert self.identity is not None
        path = f"/api/v1/devices/{self.identity.device_id}/events?limit=1000"
        answer = await self.hub.http.get(path, headers=self.hub.as_user())
        assert answer.status_code == 200, answer.text
        return sorted(event.seq for event in msgspec.json.decode(answer.content, type=list[StoredEvent]))

    async def counted(self) -> int:
        assert self.identity is not None
        return (await self.hub.core.devices.get(self.identity.device_id)).events_accepted

    async def counts(self, count: int) -> None:
        async with asyncio.timeout(100):
            while await self.counted() < count:
                await asyncio.sleep(0.2)

    @asynccontextmanager
    async def delivering(self) -> AsyncGenerator[Outbox]:
        """As the device, without its daemon."""
        assert self.identity is not None
        with closing(HubClient(self.identity, self.agent.state, HubLink())) as client:
            async with delivering(self.agent.state / "outbox.db", client) as outbox:
                yield outbox

    async def has(self, count: int) -> None:
        async with asyncio.timeout(100):
            while len(await self.stored()) < count:
                await asyncio.sleep(0.2)


@asynccontextmanager
async def place(folder: Path, mongo_url: str) -> AsyncGenerator[Place]:
    async with running_core(folder, mongo_url) as hub, CutLink(urlsplit(hub.url).port or 0).running() as link:
        agent = Agent(folder, heartbeat=1)
        token = await hub.enrolment_token()
        enrolled = await asyncio.to_thread(agent.call, "enrol", link.url, "--token", token)
        assert enrolled.returncode == 0, enrolled.stderr
        yield Place(hub, link, agent)


async def say(outbox: Outbox, number: int) -> None:
    event = SessionEvent(run_id="run-1", message_id=str(number), step="trained")
    await outbox.append(Priority.FEDERATION, "session", event)


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_a_request_or_an_answer_that_never_arrives_is_made_good_on_a_new_connection(
    folder: Path, mongo_url: str, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr(HubConnection, "exchange", functools.partialmethod(HubConnection.exchange, within=1.0))
    monkeypatch.setattr("flip_agent.hub.connection.CONNECT_WITHIN", 1.0)
    async with place(folder, mongo_url) as at, at.delivering() as outbox:
        for number in range(1, 5):
            await say(outbox, 2 * number)
            await emptied(outbox)
            if lost == "request":
                at.link.cut()
            else:
                at.link.cut_by_answer = True
            await say(outbox, 2 * number + 1)
            await eventually(lambda n=number: at.link.half_open == n)
            if lost == "answer":
                await at.has(2 * number)
            assert await outbox.depth() > 0, "without an answer nothing is deleted"
            at.link.mend()
            await at.has(2 * number)
        await emptied(outbox)
        assert await at.stored() == list(range(1, 9))
        assert await at.counted() == 8


async def test_the_whole_agent_goes_on_with_its_own_patience(folder: Path, mongo_url: str) -> None:
    async with place(folder, mongo_url) as at:
        with at.agent.running() as process:
            await at.counts(4)
            at.link.cut()
            assert at.link.half_open >= 1
            before = await at.counted()
            at.link.mend()
            await at.counts(before + 4)
            assert process.poll() is None
            process.terminate()
            assert await asyncio.to_thread(process.wait, 30) == 0
        async with at.delivering() as outbox:
            await say(outbox, 1)
            await emptied(outbox)
        assert await at.counted() == (await at.stored())[-1], "each once, and none is missing"
        assert os.path.getsize(at.agent.log) < 2**16
