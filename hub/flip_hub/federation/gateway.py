"""The Fleet gateway: the one door to the SuperLink, for enrolled and unrevoked devices, over TLS.

It passes `POST /v1/fleet/METHOD` on, answers `/v1/flip/` (receipts, late contributions), and nothing else. Bodies
stream through in both directions; what is held in memory are the few small ones that it must understand. A pull that
asks with `Flip-Wait: SECONDS` is answered when something was written to its node, which spares the SuperLink (4 to
7 ms a pull) most of them. Each answer carries the hub's time (`Flip-Time`, Unix seconds), because a signature from a
clock that is 5 s ahead is refused.
"""

import contextlib
import logging
import time
from collections.abc import Generator
from http import HTTPStatus
from typing import Any, Protocol

import uvicorn
from flwr.proto.fab_pb2 import GetFabResponse
from flwr.proto.fleet_pb2 import (
    ActivateNodeResponse,
    PullMessagesRequest,
    PullMessagesResponse,
    PushMessagesRequest,
    PushMessagesResponse,
)
from google.protobuf.message import DecodeError
from msgspec.structs import replace

from flip_hub.devices.schemas import Device, DeviceStatus
from flip_hub.federation.fleet_call import LARGEST_ANNOUNCEMENT, Call, Gone
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.node_auth import Caller, authenticate
from flip_hub.federation.nodes import Nodes
from flip_hub.federation.upstream import Answer, Upstream
from flip_hub.listener import KEEP_ALIVE, STOP_WITHIN, listening, serve
from flip_hub.mongo import DatabaseDown
from flip_hub.problem import Forbidden, Refused, TooMany
from flip_hub.settings import Settings
from flip_runtime.errors import ConfigError, FlipError
from flip_wire.fleet import DeviceId

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Requests of one device: Flower's SuperNode has 2 pushes, 2 pulls and a heartbeat at a time."""

_LEASE = 60.0
"""Seconds; the device renews it at once."""


class Devices(Protocol):
    """What the gateway needs of the device registry."""

    async def by_key(self, fingerprint: str) -> Device | None: ...

    async def node_activated(self, device_id: DeviceId, node_id: str) -> None: ...


class Apps(Protocol):
    """What the gateway needs of the apps."""

    async def verifications(self, fab_hash: str) -> dict[str, str]: ...


class Contributions(Protocol):
    """Answers the calls of our own (`ContributionCalls`)."""

    async def answer(self, call: Call, device: Device) -> None: ...


class Gateway:
    def __init__(
        self, settings: Settings, devices: Devices, apps: Apps, mailboxes: Mailboxes, contributions: Contributions
    ) -> None:
        self._settings = settings
        self._devices = devices
        self._apps = apps
        self._mailboxes = mailboxes
        self._upstream = Upstream(f"http://127.0.0.1:{settings.superlink.port}")
        self.nodes = Nodes(self._upstream)
        self._contributions = contributions
        self._running: dict[DeviceId, int] = {}
        self._unconfirmed: dict[DeviceId, Answer] = {}
        self._announced: dict[DeviceId, tuple[str, Answer]] = {}

    async def run(self) -> None:
        """Until it is cancelled. Raises `ConfigError` for a taken port or a missing certificate."""
        fleet, config = self._settings.fleet, self._config()
        with listening(fleet.host, fleet.port, "fleet") as listener:
            async with self._upstream:
                log.info("fleet gateway ready", extra={"host": fleet.host, "port": fleet.port})
                await serve(config, listener, self._mailboxes.wake_all)

    def _config(self) -> uvicorn.Config:
        certificate, key = (self._settings.hub.state / name for name in ("fleet.pem", "fleet.key"))
        for path in (certificate, key):
            if not path.exists():
                raise ConfigError(f"no {path}", hint="make it with flip-hub init")
        return uvicorn.Config(
            self,
            ssl_certfile=certificate,
            ssl_keyfile=str(key),
            http="httptools",
            ws="none",
            lifespan="off",
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=STOP_WITHIN,
            server_header=False,
            access_log=False,
            log_config=None,
            log_level="warning",
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        call = Call(scope, receive, send)
        try:
            await self._answer(call)
        except Gone:
            log.debug("device hung up", extra={"method": scope["path"]})
        except (FlipError, DatabaseDown) as error:
            if call.answered:
                raise  # uvicorn cuts the connection, so that the device sees half an answer as none
            await call.refuse(error)

    async def _answer(self, call: Call) -> None:
        method = call.method()
        caller = authenticate(call.headers, time.time())
        device = await self._devices.by_key(caller.fingerprint)
        if device is None:
            raise Forbidden("no enrolled device has this key", hint="enrol it: flip-agent enrol URL --token TOKEN")
        if device.status is DeviceStatus.REVOKED:
            raise Forbidden(f"the device {device.name} was revoked", hint="an operator of the hub must enrol it again")
        with self._one_of_few(device.id):
            match method:
                case "pull-messages":
                    await self._pull(call, caller, device.id)
                case "activate-node":
                    await self._activate(call, caller, device)
                case "get-fab":
                    await self._give_app(call)
                case "push-messages":
                    await self._announce(call, device.id)
                case "":
                    await self._contributions.answer(call, device)
                case "confirm-message-received":
                    self._unconfirmed.pop(device.id, None)
                    await self._pass_on(call)
                case _:
                    await self._pass_on(call)

    @contextlib.contextmanager
    def _one_of_few(self, device_id: DeviceId) -> Generator[None]:
        running = self._running.get(device_id, 0)
        if running >= AT_ONCE:
            raise TooMany(f"more than {AT_ONCE} requests of this device at once", retry_after=1.0)
        self._running[device_id] = running + 1
        try:
            yield
        finally:
            self._running[device_id] -= 1
            if not self._running[device_id]:
                del self._running[device_id]

    async def _pass_on(self, call: Call) -> None:
        async with self._upstream.stream(call.path, call.headers, call.body()) as answer:
            await call.start(answer.status, answer.headers)
            async for chunk in answer.chunks:
                await call.more(chunk)
            await call.end()

    async def _pull(self, call: Call, caller: Caller, device_id: DeviceId) -> None:
        body = await call.whole_body()
        with _decoding():
            node_id = PullMessagesRequest.FromString(body).node.node_id
        # a signature that has nearly run out would not be good for the second look
        wait = min(call.wait(), caller.good_for(time.time()) - 5.0)
        with self._mailboxes.listen(str(node_id)) as written:
            answer = await self._look(call, body, device_id)
            if wait > 0 and _is_empty(answer):
                await call.until(written, wait)
                answer = await self._look(call, body, device_id)
        await call.give(answer)

    async def _look(self, call: Call, body: bytes, device_id: DeviceId) -> Answer:
        """The SuperLink hands a message out once, even into a connection that has died unnoticed, as long polls do.
        So one that the device did not confirm is given to its next pull, once more; devices know it by its id."""
        again = self._unconfirmed.pop(device_id, None)
        if again is not None:
            return again
        answer = await self._upstream.ask(call.path, call.headers, body)
        if answer.status == HTTPStatus.OK and not _is_empty(answer):
            self._unconfirmed[device_id] = answer
        return answer

    async def _give_app(self, call: Call) -> None:
        """With its signatures, which Flower 1.41 does not take along when an app is uploaded."""
        answer = await self._upstream.ask(call.path, call.headers, await call.whole_body())
        if answer.status == HTTPStatus.OK:
            message = GetFabResponse.FromString(answer.body)
            message.fab.verifications.update(await self._apps.verifications(message.fab.hash_str))
            body = message.SerializeToString()
            answer = replace(answer, headers=answer.headers | {b"content-length": str(len(body)).encode()}, body=body)
        await call.give(answer)

    async def _announce(self, call: Call, device_id: DeviceId) -> None:
        """As soon as the ServerApp has seen a reply announced, and waits for its objects, the SuperLink says to a
        device that announces it again (as it must when the answer was lost) that nothing is lacking. So the upload
        that it once began is named again; the device knows what it has sent of it."""
        body = await call.whole_body(LARGEST_ANNOUNCEMENT)
        with _decoding():
            announced = [message.metadata.message_id for message in PushMessagesRequest.FromString(body).messages_list]
        answer = await self._upstream.ask(call.path, call.headers, body)
        if answer.status == HTTPStatus.OK and announced:
            if PushMessagesResponse.FromString(answer.body).objects_to_push:
                self._announced[device_id] = announced[0], answer
            else:
                earlier, upload = self._announced.get(device_id, ("", answer))
                answer = upload if earlier == announced[0] else answer
        await call.give(answer)

    async def _activate(self, call: Call, caller: Caller, device: Device) -> None:
        """The SuperLink refuses keys that it has forgotten, as after a restart, and nodes that are active already, as
        those are that `standby` brought online, and those of a device that has lost its node's number. The registry
        knows the key, and it has signed: so the node is made and named."""
        body = await call.whole_body()
        self._unconfirmed.pop(device.id, None)
        answer = await self._upstream.ask(call.path, call.headers, body)
        if answer.status not in (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED) and answer.status < 500:
            (online,) = await self.nodes.online([caller.public_key.decode()], _LEASE)
            active = ActivateNodeResponse(node_id=int(online)).SerializeToString()
            headers = {b"content-type": b"application/protobuf", b"content-length": str(len(active)).encode()}
            answer = Answer(status=HTTPStatus.OK, headers=headers, body=active)
        if answer.status == HTTPStatus.OK:
            node_id = ActivateNodeResponse.FromString(answer.body).node_id
            await self._devices.node_activated(device.id, str(node_id))
        await call.give(answer)


def _is_empty(answer: Answer) -> bool:
    return answer.status == HTTPStatus.OK and not PullMessagesResponse.FromString(answer.body).messages_list


@contextlib.contextmanager
def _decoding() -> Generator[None]:
    try:
        yield
    except DecodeError as error:
        raise Refused("the body is not the protobuf message of this call") from error
