"""The Fleet calls that the SuperLink must see: joining, signs of life, replies. They pass, with what Flower lacks."""

from collections import OrderedDict
from http import HTTPStatus
from typing import Protocol

from flwr.proto.fleet_pb2 import ActivateNodeResponse, PushMessagesRequest, PushMessagesResponse

from flip_hub.devices.schemas import Device
from flip_hub.federation.fleet_call import LARGEST_ANNOUNCEMENT, LARGEST_SMALL_BODY, Call, decoding
from flip_hub.federation.node_auth import Caller
from flip_hub.federation.nodes import Nodes
from flip_hub.federation.shield import Shield, lane, protobuf
from flip_hub.federation.upstream import Answer, Upstream
from flip_wire.fleet import DeviceId

_LEASE = 60.0
"""Seconds; the device renews it at once."""
_ANNOUNCED = 20_000
"""Devices whose last announcement is remembered."""


class Registry(Protocol):
    """What is needed of the device registry."""

    async def node_activated(self, device_id: DeviceId, node_id: str) -> None: ...


class Passage:
    def __init__(self, upstream: Upstream, uploads: Upstream, nodes: Nodes, devices: Registry, shield: Shield) -> None:
        """`uploads` has connections for slow devices, which would hold the others up."""
        self._upstream = upstream
        self._uploads = uploads
        self._nodes = nodes
        self._devices = devices
        self._shield = shield
        self._announced: OrderedDict[DeviceId, tuple[str, Answer]] = OrderedDict()

    async def activate(self, call: Call, caller: Caller, device: Device) -> None:
        """The SuperLink refuses keys that it has forgotten, as after a restart, and nodes that are active already, as
        those are that `standby` brought online, and those of a device that has lost its node's number. The registry
        knows the key, and it has signed: so the node is made and named."""
        answer = await self._upstream.ask(lane(call), call.headers, await call.whole_body())
        if answer.status not in (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED) and answer.status < 500:
            (online,) = await self._nodes.online([caller.public_key.decode()], _LEASE)
            answer = protobuf(ActivateNodeResponse(node_id=int(online)).SerializeToString())
        if answer.status == HTTPStatus.OK:
            node_id = ActivateNodeResponse.FromString(answer.body).node_id
            self._shield.joined(caller, device.id, node_id)
            await self._devices.node_activated(device.id, str(node_id))
        await call.give(answer)

    async def leave(self, call: Call, caller: Caller) -> None:
        self._shield.left(caller)
        await self.small(call)

    async def announce(self, call: Call, device_id: DeviceId) -> None:
        """As soon as the ServerApp has seen a reply announced, and waits for its objects, the SuperLink says to a
        device that announces it again (as it must when the answer was lost) that nothing is lacking. So the upload
        that it once began is named again; the device knows what it has sent of it."""
        body = await call.whole_body(LARGEST_ANNOUNCEMENT)
        with decoding():
            announced = [message.metadata.message_id for message in PushMessagesRequest.FromString(body).messages_list]
        answer = await self._upstream.ask(lane(call), call.headers, body)
        if answer.status == HTTPStatus.OK and announced:
            if PushMessagesResponse.FromString(answer.body).objects_to_push:
                self._remember(device_id, announced[0], answer)
            else:
                earlier, upload = self._announced.get(device_id, ("", answer))
                answer = upload if earlier == announced[0] else answer
        await call.give(answer)

    async def upload(self, call: Call) -> None:
        """As it comes: a large one is never held here."""
        if 0 < call.length <= LARGEST_SMALL_BODY:
            await self.small(call)
            return
        async with self._uploads.stream(lane(call), call.headers, call.body()) as answer:
            await call.stream(answer.status, answer.headers, answer.chunks)

    async def small(self, call: Call) -> None:
        await call.give(await self._upstream.ask(lane(call), call.headers, await call.whole_body()))

    def _remember(self, device_id: DeviceId, message_id: str, answer: Answer) -> None:
        self._announced[device_id] = message_id, answer
        self._announced.move_to_end(device_id)
        if len(self._announced) > _ANNOUNCED:
            self._announced.popitem(last=False)
