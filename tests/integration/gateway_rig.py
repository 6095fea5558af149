"""The Fleet gateway before a SuperLink that a test scripts, and one enrolled device."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from flwr.proto.fleet_pb2 import PullMessagesRequest, PullMessagesResponse
from flwr.proto.message_pb2 import Message, Metadata, ObjectTree
from flwr.proto.node_pb2 import Node

from flip_demo.ports import free_port
from flip_hub.federation.fast_lane import NEWS
from flip_hub.federation.gateway import Gateway
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.settings import Settings
from integration.fleet_rig import NodeKey, Registry, device_client, hub_settings, running

EMPTY = PullMessagesResponse().SerializeToString()
MESSAGE = PullMessagesResponse(
    messages_list=[Message(metadata=Metadata(message_id="m"))], message_object_trees=[ObjectTree(object_id="m")]
).SerializeToString()
PULL = PullMessagesRequest(node=Node(node_id=7)).SerializeToString()
MIB = 2**20


class StubSuperlink:
    """Answers pulls from a list (empty when it is used up), `pull-object` with 20 MiB, and counts what it is sent.

    It tells no news: so every call goes to it."""

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
        if scope["path"] == NEWS:
            await _away(send)
            return
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


async def _away(send: Callable[[MutableMapping[str, Any]], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b""})


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


async def until(condition: Callable[[], bool], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)
