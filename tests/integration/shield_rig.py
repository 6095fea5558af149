"""The Fleet gateway before a SuperLink of Flower's in this process, whose ServerApp is the test, and its devices."""

import asyncio
import hashlib
import importlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from flwr.app import ArrayRecord, Message, Metadata, RecordDict
from flwr.app.message import make_message, remove_content_from_message
from flwr.common.constant import NOOP_FLWR_AID, SUPERLINK_NODE_ID
from flwr.proto.fab_pb2 import GetFabRequest, GetFabResponse
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    ActivateNodeResponse,
    PullMessagesRequest,
    PullMessagesResponse,
    RegisterNodeFleetRequest,
)
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, PullObjectRequest, PullObjectResponse
from flwr.proto.node_pb2 import Node
from flwr.proto.run_pb2 import GetRunRequest
from flwr.supercore.constant import NOOP_FEDERATION_ID, TaskType
from flwr.supercore.fab import Fab
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)

from flip_demo.ports import free_port
from flip_hub.federation import superlink_process
from flip_hub.federation.fast_lane import NEWS
from flip_hub.federation.fleet_link_state import FleetLinkState
from flip_hub.federation.gateway import Gateway
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.settings import Settings
from integration.fleet_rig import NodeKey, Registry, device_client, hub_settings, running
from integration.gateway_rig import serving

FAB = b"an app"


@contextmanager
def extended() -> Generator[Any]:
    """Flower's modules with what the hub adds, and as they were afterwards; gives the function that makes the app."""
    names = {
        "flwr.superlink.extensions": ["configure_app", "get_middleware"],
        "flwr.server.superlink.linkstate.linkstate_factory": ["InMemoryLinkState"],
        "flwr.supercore.http_logging": ["ROUTINE_ACCESS_PATHS"],
    }
    modules: dict[str, Any] = {name: importlib.import_module(name) for name in names}
    before = [(modules[name], each, getattr(modules[name], each)) for name in names for each in names[name]]
    superlink_process.install("internal")
    try:
        yield importlib.import_module("flwr.superlink.main").create_app
    finally:
        for module, name, value in before:
            setattr(module, name, value)


class ServerSide:
    """The SuperLink's app, what it was asked, and one run, written to as its ServerApp would."""

    def __init__(self, create_app: Any) -> None:
        self.app = create_app()
        self.state: FleetLinkState = self.app.state.linkstate_factory.state()
        self.asked: Counter[str] = Counter()
        self._sessions: dict[str, tuple[str, list[str]]] = {}
        self.run_id = self.start_run()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if path != NEWS:
            self.asked[path.rsplit("/", 1)[-1]] += 1
        await self.app(scope, receive, send)

    def start_run(self) -> int:
        fab_hash = self.state.store_fab(Fab(hashlib.sha256(FAB).hexdigest(), FAB, {}))
        run_id = self.state.create_run(
            fab_id="a/b",
            fab_version="1",
            fab_hash=fab_hash,
            override_config={},
            federation_id=NOOP_FEDERATION_ID,
            federation_config=None,
            flwr_aid=NOOP_FLWR_AID,
            primary_task_type=TaskType.SERVER_APP,
        )
        task_id = self._task(run_id)
        assert self.state.claim_task(task_id)
        assert self.state.activate_task(task_id)
        return run_id

    def end_run(self) -> None:
        assert self.state.finish_task(self._task(self.run_id), "completed", "")

    def write(self, node_id: int, content: ArrayRecord, *, send: bool = True) -> Message:
        """Its objects are sent with it, or later by `send`."""
        metadata = Metadata(
            run_id=self.run_id,
            message_id="",
            src_node_id=SUPERLINK_NODE_ID,
            dst_node_id=node_id,
            reply_to_message_id="",
            group_id="",
            created_at=time.time(),
            ttl=3600.0,
            message_type="train",
        )
        message = make_message(metadata=metadata, content=RecordDict({"arrays": content}))
        message.metadata.__dict__["_message_id"] = message.object_id
        session = self.state.start_session(self.run_id)
        stored, wanted = self.state.store_message_and_object_tree(
            remove_content_from_message(message), get_object_tree(message), session
        )
        assert stored
        self._sessions[message.metadata.message_id] = session, wanted
        if send:
            self.send(message)
        return message

    def send(self, message: Message) -> None:
        session, wanted = self._sessions.pop(message.metadata.message_id)
        with no_object_id_recompute():
            objects = get_all_nested_objects(message)
            for object_id in wanted:
                assert self.state.store_object(self.run_id, session, object_id, objects[object_id].deflate())

    def _task(self, run_id: int) -> int:
        (run,) = self.state.get_run_info(run_ids=[run_id])
        assert run.primary_task_id is not None
        return run.primary_task_id


class Device:
    def __init__(self, client: httpx.AsyncClient, key: NodeKey) -> None:
        self.client = client
        self.key = key
        self.node = Node()

    async def join(self) -> None:
        await self.ask("register-node", RegisterNodeFleetRequest(public_key=self.key.pem))
        activate = ActivateNodeRequest(public_key=self.key.pem, heartbeat_interval=60)
        answer = await self.ask("activate-node", activate)
        self.node = Node(node_id=ActivateNodeResponse.FromString(answer.content).node_id)

    async def ask(self, method: str, request: Any, **headers: str) -> httpx.Response:
        return await self.client.post(
            f"/{method}", content=request.SerializeToString(), headers={**self.key.headers(), **headers}
        )

    async def pull(self, wait: float = 0.0) -> PullMessagesResponse:
        headers = {"Flip-Wait": str(wait)}
        answer = await self.ask("pull-messages", PullMessagesRequest(node=self.node), **headers)
        assert answer.status_code == 200, answer.text
        return PullMessagesResponse.FromString(answer.content)

    async def object(self, run_id: int, object_id: str) -> PullObjectResponse:
        request = PullObjectRequest(node=self.node, run_id=run_id, object_id=object_id)
        answer = await self.ask("pull-object", request)
        assert answer.status_code == 200, answer.text
        return PullObjectResponse.FromString(answer.content)

    async def objects(self, run_id: int, pulled: PullMessagesResponse) -> list[PullObjectResponse]:
        (tree,) = pulled.message_object_trees
        return [await self.object(run_id, node.object_id) for node in iterate_object_tree(tree)]

    async def confirm(self, run_id: int, message_id: str) -> None:
        request = ConfirmMessageReceivedRequest(node=self.node, run_id=run_id, message_object_id=message_id)
        assert (await self.ask("confirm-message-received", request)).status_code == 200

    async def run(self, run_id: int) -> httpx.Response:
        return await self.ask("get-run", GetRunRequest(node=self.node, run_id=run_id))

    async def fab(self, run_id: int) -> GetFabResponse:
        request = GetFabRequest(node=self.node, run_id=run_id, hash_str=hashlib.sha256(FAB).hexdigest())
        return GetFabResponse.FromString((await self.ask("get-fab", request)).content)


class Fleet:
    def __init__(self, settings: Settings, client: httpx.AsyncClient, create_app: Any) -> None:
        self._client = client
        self._create_app = create_app
        self.settings = settings
        self.server = ServerSide(create_app)
        self.registry = Registry()
        self.mailboxes = Mailboxes()
        self.gateway = Gateway(settings, self.registry, self.registry, self.mailboxes, self.registry)

    async def device(self) -> Device:
        """Enrolled, and a node."""
        key = NodeKey()
        self.registry.enrol(key)
        device = Device(self._client, key)
        await device.join()
        return device

    @asynccontextmanager
    async def superlink(self) -> AsyncGenerator[None]:
        """The first, or another that knows nothing of the one before."""
        if self.server.asked:
            self.server = ServerSide(self._create_app)
        async with serving(self.server, self.settings.superlink.port):
            yield

    async def told(self) -> None:
        """Until the gateway knows what the SuperLink has written."""
        await until(lambda: self.gateway.news.known and self.gateway.news.runs(str(self.server.run_id)))


@asynccontextmanager
async def fleet_in(folder: Path) -> AsyncGenerator[Fleet]:
    """The gateway, which knows of the run; the SuperLink is for `superlink` to start."""
    settings = hub_settings(folder, fleet=free_port(), superlink=free_port())
    with extended() as create_app:
        async with device_client(settings) as client:
            fleet = Fleet(settings, client, create_app)
            async with running(fleet.gateway.run(), settings.fleet.port):
                yield fleet


async def until(condition: Any, within: float = 30.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)
