"""One simulated device: a Flower node that computes nothing, with a real key, real signatures and real messages.

It pulls an instruction, fetches what it consists of, confirms, gives the arrays back, or others of their form, and
begins again. Through the gateway it waits in long polls and asks for the receipt, as our agents do; at a SuperLink it
polls, as SuperNodes do.
"""

import asyncio
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.serde import message_to_proto
from flwr.proto.fab_pb2 import GetFabRequest
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    ActivateNodeResponse,
    DeactivateNodeRequest,
    PullMessagesRequest,
    PullMessagesResponse,
    PushMessagesRequest,
    PushMessagesResponse,
    RegisterNodeFleetRequest,
)
from flwr.proto.message_pb2 import (
    ConfirmMessageReceivedRequest,
    ObjectTree,
    PullObjectRequest,
    PullObjectResponse,
    PushObjectRequest,
)
from flwr.proto.node_pb2 import Node
from flwr.proto.run_pb2 import GetRunRequest, GetRunResponse
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.primitives.asymmetric import sign_message
from google.protobuf.message import Message as Proto
from msgspec import Struct

from flip_hub.federation.connection import Connection
from flip_runtime.errors import Rejected, Unavailable

LEASE = 1800.0
HOLD = 30.0
"""Seconds."""
_SIGNED_FOR = 60.0
_REGISTERED_ALREADY = 412


class Seen(Struct):
    """What many sessions have seen."""

    errors: int = 0
    calls: int = 0
    what: dict[str, int] = {}
    down: list[float] = []
    """Bytes a second of the objects of each message, and of each reply, when they are timed."""
    up: list[float] = []

    def note(self, what: str) -> None:
        self.what[what] = self.what.get(what, 0) + 1


class Session:
    def __init__(
        self,
        address: str,
        key: EllipticCurvePrivateKey,
        trust: ssl.SSLContext | None,
        *,
        poll: float,
        seen: Seen,
        settle: float = 0.0,
        learns: bool = False,
    ) -> None:
        """`poll`: seconds between two pulls; 0 for long polls and receipts. `settle`: seconds after which all objects
        of a message are at the SuperLink, and from when on they are timed. `learns`: its arrays are its own."""
        self._host, port = address.rsplit(":", 1)
        self._port = int(port)
        self._key = key
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        self._public = key.public_key().public_bytes(serialization.Encoding.PEM, form)
        self._trust = trust
        self._poll = poll
        self._seen = seen
        self._settle = settle
        self._learns = learns
        self._signed, self._signed_at = b"", 0.0
        self._connections: list[Connection] = []
        self._node = Node()
        self._runs: set[int] = set()

    async def join(self) -> None:
        register = RegisterNodeFleetRequest(public_key=self._public)
        await self._call("register-node", register, allowed=_REGISTERED_ALREADY)
        activate = ActivateNodeRequest(public_key=self._public, heartbeat_interval=LEASE)
        answer = ActivateNodeResponse.FromString(await self._call("activate-node", activate))
        self._node = Node(node_id=answer.node_id)

    async def leave(self) -> None:
        """As a SuperNode that stops: a SuperLink lets no node join that it thinks is there."""
        if self._node.node_id:
            await self._call("deactivate-node", DeactivateNodeRequest(node_id=self._node.node_id))

    async def work(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                pulled = PullMessagesResponse.FromString(await self._pull())
                if not pulled.messages_list:
                    await asyncio.sleep(self._poll)
                    continue
                run_id, tree = pulled.messages_list[0].metadata.run_id, pulled.message_object_trees[0]
                await self._reply_to(await self._fetch(run_id, tree), run_id)
                if not self._poll:
                    group.create_task(self._receipt(tree.object_id, run_id))

    async def _pull(self) -> bytes:
        return await self._call("pull-messages", PullMessagesRequest(node=self._node), wait=0.0 if self._poll else HOLD)

    async def _fetch(self, run_id: int, tree: ObjectTree) -> Message:
        if run_id not in self._runs:
            request = GetRunRequest(node=self._node, run_id=run_id)
            run = GetRunResponse.FromString(await self._call("get-run", request)).run
            await self._call("get-fab", GetFabRequest(node=self._node, run_id=run_id, hash_str=run.fab_hash))
            self._runs.add(run_id)
        contents = {node.object_id: b"" for node in iterate_object_tree(tree)}
        await asyncio.sleep(self._settle)
        began = time.monotonic()
        for object_id in contents:
            contents[object_id] = await self._object(run_id, object_id)
        self._timed(self._seen.down, contents, began)
        confirm = ConfirmMessageReceivedRequest(node=self._node, run_id=run_id, message_object_id=tree.object_id)
        await self._call("confirm-message-received", confirm)
        message = inflate_object_from_contents(tree.object_id, contents)
        assert isinstance(message, Message)
        message.metadata.__dict__["_message_id"] = tree.object_id
        return message

    async def _object(self, run_id: int, object_id: str) -> bytes:
        request = PullObjectRequest(node=self._node, run_id=run_id, object_id=object_id)
        while True:
            answer = PullObjectResponse.FromString(await self._call("pull-object", request))
            if not answer.object_found:
                raise Rejected(f"object {object_id} is gone")
            if answer.object_available:
                return answer.object_content
            await asyncio.sleep(self._poll or 0.5)

    async def _reply_to(self, message: Message, run_id: int) -> None:
        arrays = message.content.array_records["arrays"]
        if self._learns:
            arrays = ArrayRecord({name: self._learned(array) for name, array in arrays.items()})
        content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 1})})
        reply = Message(content, reply_to=message)
        reply.metadata.__dict__["_message_id"] = reply.object_id
        with no_object_id_recompute():
            objects = {object_id: item.deflate() for object_id, item in get_all_nested_objects(reply).items()}
            head, tree = message_to_proto(remove_content_from_message(reply)), get_object_tree(reply)
        push = PushMessagesRequest(
            node=self._node, messages_list=[head], message_object_trees=[tree], clientapp_runtime_list=[0.0]
        )
        wanted = PushMessagesResponse.FromString(await self._call("push-messages", push))
        began = time.monotonic()
        for object_id in wanted.objects_to_push:
            request = PushObjectRequest(
                node=self._node,
                run_id=run_id,
                object_id=object_id,
                object_content=objects[object_id],
                session_id=wanted.session_id,
            )
            await self._call("push-object", request)
        self._timed(self._seen.up, objects, began)

    def _learned(self, array: Array) -> Array:
        draw = np.random.default_rng(self._node.node_id)
        return Array(draw.random(array.shape, np.float32))

    def _timed(self, rates: list[float], contents: Mapping[str, bytes], began: float) -> None:
        if self._settle:
            rates.append(sum(map(len, contents.values())) / (time.monotonic() - began))

    async def _receipt(self, message_id: str, run_id: int) -> None:
        while b"pending" in await self._ask("GET", f"/v1/flip/receipts/{message_id}?run={run_id}", b"", HOLD, 0):
            self._seen.note("pending receipts")

    async def _call(self, method: str, request: Proto, *, wait: float = 0.0, allowed: int = 0) -> bytes:
        return await self._ask("POST", f"/v1/fleet/{method}", request.SerializeToString(), wait, allowed)

    async def _ask(self, verb: str, path: str, body: bytes, wait: float, allowed: int) -> bytes:
        """Raises `Rejected` for any answer but 200 and `allowed`, `Unavailable` when there is none."""
        head = (
            f"{verb} {path} HTTP/1.1\r\nhost: {self._host}\r\ncontent-type: application/protobuf\r\n"
            f"content-length: {len(body)}\r\nflip-wait: {wait}\r\n"
        ).encode()
        connection = await self._connection()
        answer = await connection.ask(head + self._signature() + b"\r\n", _one(body), chunked=False)
        content = b"".join([piece async for piece in connection.pieces(answer)])
        if answer.reusable:
            self._connections.append(connection)
        else:
            connection.close()
        self._seen.calls += 1
        if answer.status not in (200, allowed):
            self._seen.note(f"{path.split('?')[0][:24]} {answer.status}")
            raise Rejected(f"{path}: HTTP {answer.status} {content[:200]!r}")
        return content

    async def _connection(self) -> Connection:
        while self._connections:
            connection = self._connections.pop()
            if connection.usable:
                return connection
            connection.close()
        try:
            return Connection(*await asyncio.open_connection(self._host, self._port, ssl=self._trust))
        except OSError as error:
            raise Unavailable(f"no connection: {error}") from error

    def _signature(self) -> bytes:
        if time.monotonic() - self._signed_at > _SIGNED_FOR:
            timestamp = datetime.now(UTC).isoformat()
            signature = b64encode(sign_message(self._key, timestamp.encode())).decode()
            public = b64encode(self._public).decode()
            self._signed = (
                f"flwr-public-key: {public}\r\nflwr-timestamp: {timestamp}\r\nflwr-signature: {signature}\r\n".encode()
            )
            self._signed_at = time.monotonic()
        return self._signed


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body
