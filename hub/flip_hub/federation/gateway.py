"""The Fleet gateway: the one door to the SuperLink, for enrolled and unrevoked devices, over TLS.

It answers `POST /v1/fleet/METHOD`, itself where it can (`shield`) and by the SuperLink where it must (`passage`), and
`/v1/flip/` (receipts, late contributions), and nothing else. Large bodies stream through in both directions; what is
held in memory are the small ones that it must understand. A pull that asks with `Flip-Wait: SECONDS` is answered when
something was written to its node. Each answer carries the hub's time (`Flip-Time`, Unix seconds), because a signature
from a clock that is 5 s ahead is refused.
"""

import asyncio
import logging
import time
from collections import Counter
from typing import Any, Protocol

from flip_hub.cluster.lease import ALONE, Leading
from flip_hub.credentials import gateway_certificate
from flip_hub.devices.schemas import Device
from flip_hub.federation import device_calls, passage, shield
from flip_hub.federation.device_calls import DeviceCalls
from flip_hub.federation.fleet_call import Call, Gone
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.node_auth import Caller, NodeAuth
from flip_hub.federation.nodes import Nodes
from flip_hub.federation.passage import Passage
from flip_hub.federation.shield import Shield
from flip_hub.federation.upstream import Upstream
from flip_hub.listener import listening, serve, server_config
from flip_hub.mongo import DatabaseDown
from flip_hub.observability.requests import TracedApp
from flip_hub.settings import Settings
from flip_runtime.errors import FlipError

log = logging.getLogger(__name__)

_UPLOADS = 256
"""Large bodies on their way to the SuperLink at once, as slow as their devices."""


class Devices(device_calls.Devices, passage.Registry, Protocol):
    """What the gateway needs of the device registry."""


class Contributions(Protocol):
    """Answers the calls of our own (`ContributionCalls`)."""

    async def answer(self, call: Call, device: Device) -> None: ...


class Gateway:
    def __init__(
        self,
        settings: Settings,
        devices: Devices,
        apps: shield.Apps,
        mailboxes: Mailboxes,
        contributions: Contributions,
        leading: Leading = ALONE,
    ) -> None:
        self._settings = settings
        self._leading = leading
        self._contributions = contributions
        self._auth = NodeAuth()
        self._calls = DeviceCalls(devices)
        url, secret = f"http://127.0.0.1:{settings.superlink.port}", _internal_secret(settings)
        self._upstream, self._uploads = Upstream(url, secret), Upstream(url, secret, at_once=_UPLOADS)
        self.nodes = Nodes(self._upstream)
        self._shield = Shield(self._upstream, apps, mailboxes, settings.hub.state)
        self.news = self._shield.news
        self.cache = self._shield.cache
        self.calls: Counter[str] = Counter()
        """Of devices, by Flower's name; our own are `flip`."""
        self._passage = Passage(self._upstream, self._uploads, self.nodes, devices, self._shield)

    async def run(self) -> None:
        """Until it is cancelled. Raises `ConfigError` for a taken port or a missing certificate."""
        fleet, certificate = self._settings.fleet, gateway_certificate(self._settings)
        config = server_config(TracedApp(self), certificate)
        with listening(fleet.host, fleet.port, "fleet") as listener:
            async with self._upstream, self._uploads, asyncio.TaskGroup() as group:
                group.create_task(self._shield.run())
                log.info("fleet gateway ready", extra={"host": fleet.host, "port": fleet.port})
                await serve(config, listener, self._shield.stop, certificate)

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
        self._leading.check()
        caller = self._auth.authenticate(call.headers, time.time())
        async with self._calls.admitted(caller.fingerprint) as device:
            await self._dispatch(method, call, caller, device)

    async def _dispatch(self, method: str, call: Call, caller: Caller, device: Device) -> None:
        self.calls[method or "flip"] += 1
        match method:
            case "":
                await self._contributions.answer(call, device)
            case "pull-messages":
                await self._shield.pull(call, caller, device.id)
            case "get-run":
                await self._shield.get_run(call, caller)
            case "get-fab":
                await self._shield.get_fab(call, caller)
            case "pull-object":
                await self._shield.pull_object(call, caller, device.id)
            case "confirm-message-received":
                await self._shield.confirm(call, device.id)
            case "activate-node":
                await self._passage.activate(call, caller, device)
            case "deactivate-node" | "unregister-node":
                await self._passage.leave(call, caller)
            case "push-messages":
                await self._passage.announce(call, device.id)
            case "push-object":
                await self._passage.upload(call)
            case _:
                await self._passage.small(call)


def _internal_secret(settings: Settings) -> str:
    """Empty where the hub was never initialised, which `run` says."""
    path = settings.hub.state / "internal.secret"
    return path.read_text().strip() if path.exists() else ""
