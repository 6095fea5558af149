"""The Fleet gateway lets enrolled devices through to the SuperLink, and nobody else; it wakes, repeats and streams."""

import asyncio
import time
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    ActivateNodeResponse,
    PullMessagesRequest,
    PullMessagesResponse,
)
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest, SendNodeHeartbeatResponse
from flwr.proto.message_pb2 import Message, Metadata, ObjectTree
from flwr.proto.node_pb2 import Node

from flip_demo.ports import free_port
from flip_hub.federation.gateway import AT_ONCE, Gateway
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.superlink import Superlink
from flip_hub.settings import Settings
from flip_runtime.errors import ConfigError
from flip_wire.problem import Problem
from integration.fleet_rig import NodeKey, Registry, device_client, hub_settings, running

pytestmark = pytest.mark.asyncio

EMPTY = PullMessagesResponse().SerializeToString()
MESSAGE = PullMessagesResponse(
    messages_list=[Message(metadata=Metadata(message_id="m"))], message_object_trees=[ObjectTree(object_id="m")]
).SerializeToString()
PULL = PullMessagesRequest(node=Node(node_id=7)).SerializeToString()
MIB = 2**20


class StubSuperlink:
    """Answers pulls from a list (empty when it is used up), `pull-object` with 20 MiB, and counts what it is sent."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.on_pull: Callable[[], None] = lambda: None
        self.pulls = 0
        self.received = 0
        self.headers: dict[bytes, bytes] = {}

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        self.headers = dict(scope["headers"])
        more = True
        while more:
            message = await receive()
            self.received += len(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"flwr-test", b"yes")]})
        async for chunk in self._answer(scope["path"]):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _answer(self, path: str) -> AsyncIterator[bytes]:
        if path.endswith("/pull-object"):
            for _ in range(20 * MIB // 2**16):
                yield bytes(2**16)
        if path.endswith("/pull-messages"):
            self.pulls += 1
            self.on_pull()
            yield self.answers.pop(0) if self.answers else EMPTY


class Rig:
    """A gateway before a stub, one enrolled device, and a client that trusts the hub."""

    def __init__(self, settings: Settings, client: httpx.AsyncClient) -> None:
        self.settings = settings
        self.client = client
        self.superlink = StubSuperlink()
        self.registry = Registry()
        self.mailboxes = Mailboxes()
        self.key = NodeKey()
        self.registry.enrol(self.key)

    async def pull(self, *, wait: float = 0.0) -> PullMessagesResponse:
        headers = {**self.key.headers(), "Flip-Wait": str(wait)}
        answer = await self.client.post("/pull-messages", content=PULL, headers=headers)
        assert answer.status_code == 200, answer.text
        return PullMessagesResponse.FromString(answer.content)

    async def post(self, method: str, headers: dict[str, str], content: bytes = b"") -> httpx.Response:
        return await self.client.post(method, content=content, headers=headers)


@asynccontextmanager
async def serving(app: Any, port: int) -> AsyncGenerator[None]:
    config = uvicorn.Config(app, port=port, ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started)
        yield
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def rig_in(folder: Path) -> AsyncGenerator[Rig]:
    settings = hub_settings(folder, fleet=free_port(), superlink=free_port())
    async with device_client(settings) as client:
        rig = Rig(settings, client)
        gateway = Gateway(settings, rig.registry, rig.registry, rig.mailboxes, rig.registry)
        async with serving(rig.superlink, settings.superlink.port), running(gateway.run(), settings.fleet.port):
            yield rig


def problem(answer: httpx.Response) -> Problem:
    assert answer.headers["content-type"] == "application/problem+json"
    return msgspec.json.decode(answer.content, type=Problem)


# ---- who is let in ----------------------------------------------------------------------------------------------


async def test_only_enrolled_unrevoked_devices_with_a_fresh_signature_pass(folder: Path) -> None:
    async with rig_in(folder) as rig:
        stranger, revoked = NodeKey(), NodeKey()
        rig.registry.enrol(revoked)
        rig.registry.revoke(revoked)
        good = rig.key.headers()
        refusals = [
            ({}, 401, "flwr-public-key is missing"),
            ({**good, "flwr-signature": "?"}, 401, "malformed"),
            ({**good, "flwr-public-key": stranger.headers()["flwr-public-key"]}, 401, "does not match"),
            (rig.key.headers(seconds_ago=306), 401, "306 s old"),
            (rig.key.headers(seconds_ago=-8), 401, "s old"),
            (stranger.headers(), 403, "no enrolled device"),
            (revoked.headers(), 403, "revoked"),
        ]
        for headers, status, detail in refusals:
            answer = await rig.post("/send-node-heartbeat", headers)
            assert (answer.status_code, detail in problem(answer).detail) == (status, True), answer.text
            assert problem(answer).hint
            assert abs(float(answer.headers["flip-time"]) - time.time()) < 5
        assert rig.superlink.headers == {}
        assert (await rig.post("/send-node-heartbeat", good)).status_code == 200


async def test_nothing_but_the_fleet_calls_is_there(folder: Path) -> None:
    async with rig_in(folder) as rig:
        for path in ["/start-run", "/../control/list-runs", "/pull-messages/x", ""]:
            assert (await rig.post(path, rig.key.headers())).status_code == 404
        assert (await rig.client.get("/pull-messages", headers=rig.key.headers())).status_code == 404
        assert rig.superlink.headers == {}


async def test_only_flowers_own_headers_are_passed_on(folder: Path) -> None:
    async with rig_in(folder) as rig:
        headers = {**rig.key.headers(), "cookie": "a=b", "x-forwarded-for": "1.2.3.4", "flwr-version": "1.41"}
        answer = await rig.post("/get-run", headers)
        assert answer.headers["flwr-test"] == "yes"
        assert rig.superlink.headers[b"flwr-version"] == b"1.41"
        assert not {b"cookie", b"x-forwarded-for"} & set(rig.superlink.headers)


async def test_a_superlink_that_is_away_is_503_with_a_time_to_try_again(folder: Path) -> None:
    settings = hub_settings(folder, fleet=free_port(), superlink=free_port())
    registry, key = Registry(), NodeKey()
    registry.enrol(key)
    gateway = Gateway(settings, registry, registry, Mailboxes(), registry)
    async with running(gateway.run(), settings.fleet.port), device_client(settings) as client:
        answer = await client.post("/pull-messages", content=PULL, headers=key.headers())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_a_missing_certificate_and_a_taken_port_are_configuration_errors(folder: Path) -> None:
    settings = hub_settings(folder, fleet=free_port(), superlink=free_port())
    gateway = Gateway(settings, Registry(), Registry(), Mailboxes(), Registry())
    async with serving(StubSuperlink(), settings.fleet.port):
        with pytest.raises(ConfigError, match=r"fleet\.port"):
            await gateway.run()
    (folder / "fleet.pem").unlink()
    with pytest.raises(ConfigError, match="flip-hub init"):
        await gateway.run()


# ---- long polls -------------------------------------------------------------------------------------------------


async def test_a_waiting_pull_is_answered_as_soon_as_its_node_is_written_to(folder: Path) -> None:
    async with rig_in(folder) as rig, asyncio.TaskGroup() as group:
        rig.superlink.answers = [EMPTY, MESSAGE]
        waiting = group.create_task(rig.pull(wait=30))
        await until(lambda: rig.superlink.pulls == 1)
        rig.mailboxes.wake(["8"])
        rig.mailboxes.wake(["7"])
        async with asyncio.timeout(5):
            assert len((await waiting).messages_list) == 1
        assert (rig.superlink.pulls, rig.mailboxes.waiting) == (2, 0)


async def test_a_wake_between_the_look_and_the_wait_is_not_lost(folder: Path) -> None:
    async with rig_in(folder) as rig:
        rig.superlink.answers = [EMPTY, MESSAGE]
        rig.superlink.on_pull = lambda: rig.mailboxes.wake(["7"])
        async with asyncio.timeout(5):
            assert len((await rig.pull(wait=30)).messages_list) == 1


async def test_an_empty_pull_is_answered_when_its_wait_is_over_and_at_once_without_one(folder: Path) -> None:
    async with rig_in(folder) as rig:
        assert not (await rig.pull()).messages_list
        assert rig.superlink.pulls == 1
        started = time.monotonic()
        assert not (await rig.pull(wait=0.5)).messages_list
        assert 0.5 <= time.monotonic() - started < 5
        assert (await rig.post("/pull-messages", {**rig.key.headers(), "Flip-Wait": "soon"}, PULL)).status_code == 400


async def test_a_device_that_hangs_up_ends_its_wait(folder: Path) -> None:
    async with rig_in(folder) as rig:
        waiting = asyncio.create_task(rig.pull(wait=30))
        await until(lambda: rig.superlink.pulls == 1)
        waiting.cancel()
        await until(lambda: rig.mailboxes.waiting == 0)
        assert rig.superlink.pulls == 1


async def test_a_message_that_was_not_confirmed_is_given_once_more(folder: Path) -> None:
    async with rig_in(folder) as rig:
        rig.superlink.answers = [MESSAGE, EMPTY, MESSAGE]
        given = [len((await rig.pull()).messages_list) for _ in range(3)]
        assert given == [1, 1, 0]
        assert len((await rig.pull()).messages_list) == 1
        assert (await rig.post("/confirm-message-received", rig.key.headers())).status_code == 200
        assert not (await rig.pull()).messages_list


async def test_a_device_has_few_requests_at_once(folder: Path) -> None:
    async with rig_in(folder) as rig, asyncio.TaskGroup() as group:
        waiting = [group.create_task(rig.pull(wait=30)) for _ in range(AT_ONCE)]
        await until(lambda: rig.superlink.pulls == AT_ONCE)
        answer = await rig.post("/get-run", rig.key.headers())
        assert (answer.status_code, "retry-after" in answer.headers) == (429, True)
        rig.mailboxes.wake(["7"])
        await asyncio.wait(waiting)
        assert (await rig.post("/get-run", rig.key.headers())).status_code == 200


async def test_stopping_answers_the_waiting_pulls(folder: Path) -> None:
    settings = hub_settings(folder, fleet=free_port(), superlink=free_port())
    async with device_client(settings) as client:
        rig = Rig(settings, client)
        gateway = Gateway(settings, rig.registry, rig.registry, rig.mailboxes, rig.registry)
        async with serving(rig.superlink, settings.superlink.port):
            async with running(gateway.run(), settings.fleet.port):
                waiting = asyncio.create_task(rig.pull(wait=30))
                await until(lambda: rig.superlink.pulls == 1)
            assert not (await waiting).messages_list


# ---- bodies -----------------------------------------------------------------------------------------------------


async def test_large_objects_pass_in_both_directions_without_being_held_in_memory(folder: Path) -> None:
    async def upload() -> AsyncIterator[bytes]:
        for _ in range(20 * MIB // 2**16):
            yield bytes(2**16)

    async with rig_in(folder) as rig:
        await rig.pull()
        tracemalloc.start()
        try:
            received = rig.superlink.received
            answer = await rig.client.post("/push-object", content=upload(), headers=rig.key.headers())
            assert (answer.status_code, rig.superlink.received - received) == (200, 20 * MIB)
            async with rig.client.stream("POST", "/pull-object", headers=rig.key.headers()) as stream:
                assert sum([len(chunk) async for chunk in stream.aiter_raw()]) == 20 * MIB
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 6 * MIB


async def test_a_body_beyond_the_limit_is_refused(folder: Path) -> None:
    async with rig_in(folder) as rig:
        answer = await rig.post("/pull-messages", rig.key.headers(), bytes(2**16 + 1))
        assert answer.status_code == 413
        answer = await rig.post("/pull-messages", rig.key.headers(), b"\xff\xff\xff")
        assert (answer.status_code, "protobuf" in problem(answer).detail) == (400, True)


# ---- with Flower's own SuperLink --------------------------------------------------------------------------------


async def test_an_enrolled_key_is_a_node_again_after_the_superlink_has_lost_it(folder: Path) -> None:
    settings = hub_settings(folder, fleet=free_port(), superlink=free_port())
    registry, key = Registry(), NodeKey()
    device_id = registry.enrol(key)
    activate = ActivateNodeRequest(public_key=key.pem, heartbeat_interval=30).SerializeToString()
    other = NodeKey()
    registry.enrol(other)
    nodes: set[int] = set()
    gateway = Gateway(settings, registry, registry, Mailboxes(), registry)
    async with device_client(settings) as client, running(gateway.run(), settings.fleet.port):
        for _ in range(2):
            async with running(Superlink(settings).run(), settings.superlink.port):
                answer = await client.post("/activate-node", content=activate, headers=key.headers())
                node = ActivateNodeResponse.FromString(answer.content).node_id
                assert registry.nodes[device_id] == str(node)
                nodes.add(node)
                beat = SendNodeHeartbeatRequest(node=Node(node_id=node), heartbeat_interval=30).SerializeToString()
                answer = await client.post("/send-node-heartbeat", content=beat, headers=key.headers())
                assert SendNodeHeartbeatResponse.FromString(answer.content).success
                answer = await client.post("/send-node-heartbeat", content=beat, headers=other.headers())
                assert answer.status_code == 401, "a device must not speak for another's node"
    assert len(nodes) == 2


async def until(condition: Callable[[], bool], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)
