"""What becomes of pushed replies, with a hub that is busy, away, or not the hub at all: none is given up by itself.

A real session file and real HTTP; the hub says what the test tells it to.
"""

import asyncio
import hashlib
import threading
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flip_agent.federation.contribution_client import ContributionClient
from flip_agent.federation.delivery import Delivery
from flip_agent.federation.fleet_client import FleetClient
from flip_agent.federation.flower import Instruction, Item, Reply
from flip_agent.federation.node_auth import NodeAuth
from flip_agent.federation.run_link import RunLink
from flip_agent.federation.session_store import SessionStore
from flip_agent.federation.settlement import Settlement
from flip_agent.federation.steps import Step
from flip_wire.contributions import Fate, LateNeeds, LateReply, Receipt
from flip_wire.models import Sha256
from flip_wire.problem import Problem
from flip_wire.telemetry import SessionEvent

pytestmark = pytest.mark.asyncio

CONTENT = b"what was learned"
OBJECT = Item(object_id=hashlib.sha256(CONTENT).hexdigest(), content=CONTENT)
INSTRUCTION = Instruction(run_id="5", node_id="7", message_id="m1", message=b"head", tree=b"tree")


class Said(msgspec.Struct, frozen=True):
    status: int
    body: bytes = b""
    headers: dict[str, str] = {}


def problem(status: int, detail: str) -> Said:
    return Said(status, msgspec.json.encode(Problem(title="", status=status, detail=detail, hint="")))


def needs(*objects: str) -> Said:
    return Said(200, msgspec.json.encode(LateNeeds(objects=[Sha256(each) for each in objects])))


BUSY = Said(429, headers={"Retry-After": "1"})
AWAY = Said(503)
PORTAL = Said(400, b"<html>Log in to the hotel's network</html>")
TAKEN = Said(204)


class Hub(ThreadingHTTPServer):
    """Answers each kind of call with its list, in turn; the last for ever."""

    def __init__(self, **answers: list[Said]) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.answers = answers
        self.heard: list[tuple[str, float]] = []
        self.announced: list[LateReply] = []

    def calls(self, kind: str) -> list[float]:
        return [at for each, at in self.heard if each == kind]

    @contextmanager
    def running(self) -> Generator[str]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{self.server_port}"
        finally:
            self.shutdown()
            self.server_close()
            thread.join()


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        hub = cast(Hub, self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        kind = self.path.split("/")[3].partition("?")[0]
        hub.heard.append((kind, time.monotonic()))
        if kind == "late":
            hub.announced.append(msgspec.json.decode(body, type=LateReply))
        said = hub.answers[kind].pop(0) if len(hub.answers[kind]) > 1 else hub.answers[kind][0]
        self.send_response(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        self.wfile.write(said.body)

    do_POST = do_PUT = do_GET

    def log_message(self, format: str, *args: object) -> None: ...


@asynccontextmanager
async def settling(folder: Path, hub: Hub, step: Step) -> AsyncGenerator[SessionStore]:
    """One reply at that step, and all that takes it on."""
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with hub.running() as address, SessionStore(folder / "session.db") as store:
        store.accept(INSTRUCTION)
        store.make_ready("m1", Reply(message=b"reply", tree=b"reply tree"), [OBJECT], context=None, seconds=1.5)
        store.advance("m1", step, late="too late" if step is Step.LATE else "")
        auth = NodeAuth(pem)
        fleet, contributions = FleetClient(address, auth, ""), ContributionClient(address, auth, "")
        settlement = Settlement(store, Delivery(store, fleet, contributions), RunLink(folder / "run.sock", store))
        task = asyncio.create_task(settlement.run())
        try:
            yield store
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            contributions.close()
            fleet.close()


async def told(store: SessionStore) -> tuple[str, str]:
    """The last step that the hub is told of, once the reply is forgotten."""
    async with asyncio.timeout(60):
        while await asyncio.to_thread(store.unsettled, 1):
            await asyncio.sleep(0.01)
    (event,) = [each.event for each in store.events.oldest() if isinstance(each.event, SessionEvent)]
    return event.step, event.detail


async def test_a_late_reply_waits_for_as_long_as_the_busy_hub_asks_and_a_little_more(folder: Path) -> None:
    hub = Hub(late=[BUSY, BUSY, needs(OBJECT.object_id), needs(OBJECT.object_id), needs()], objects=[BUSY, TAKEN])
    async with settling(folder, hub, Step.LATE) as store:
        assert await told(store) == ("late", "too late")
    first, second, third, fourth, _ = hub.calls("late")
    assert min(second - first, third - second, fourth - third) >= 1.0
    assert len(hub.calls("objects")) == 2
    assert {each.size for each in hub.announced} == {len(CONTENT)}


async def test_no_answer_but_the_hub_s_own_makes_a_device_give_a_reply_up(folder: Path) -> None:
    hub = Hub(late=[PORTAL, AWAY, Said(404), needs(OBJECT.object_id), needs()], objects=[TAKEN])
    async with settling(folder, hub, Step.LATE) as store:
        assert await told(store) == ("late", "too late")
    assert len(hub.calls("late")) == 5


async def test_an_upload_that_the_hub_gave_up_starts_over(folder: Path) -> None:
    given_up = problem(404, "no late contribution of this device consists of this object")
    wanted = needs(OBJECT.object_id)
    hub = Hub(late=[wanted, wanted, needs()], objects=[given_up, TAKEN])
    async with settling(folder, hub, Step.LATE) as store:
        assert await told(store) == ("late", "too late")
    assert len(hub.calls("objects")) == 2


async def test_a_reply_that_the_hub_refuses_is_told_as_failed(folder: Path) -> None:
    hub = Hub(late=[problem(413, "more than the hub keeps")])
    async with settling(folder, hub, Step.LATE) as store:
        step, detail = await told(store)
    assert (step, "more than the hub keeps" in detail) == ("failed", True)


async def test_a_device_that_was_enrolled_anew_is_done_with_what_was_written_to_its_former_self(folder: Path) -> None:
    other = problem(409, "this message was written to another device")
    hub = Hub(receipts=[AWAY, other], late=[other])
    async with settling(folder, hub, Step.PUSHED) as store:
        step, detail = await told(store)
    assert (step, "another device" in detail) == ("failed", True)


async def test_a_reply_that_its_round_has_is_forgotten(folder: Path) -> None:
    accepted = Said(200, msgspec.json.encode(Receipt(message_id="m1", fate=Fate.ACCEPTED)))
    hub = Hub(receipts=[BUSY, accepted])
    async with settling(folder, hub, Step.PUSHED) as store:
        assert await told(store) == ("delivered", "")
