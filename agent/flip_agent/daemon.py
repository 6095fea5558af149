"""`flip-agent run`: the parts of the daemon and the services they run as; no logic of its own.

Before enrolment it is up and says so. It imports nothing heavy: signing, training and serving are other processes.
"""

import asyncio
import logging
import signal
import socket
from pathlib import Path

from flip_agent.children import Children
from flip_agent.desired_state import UNKNOWN, DesiredStatePoll, load_desired
from flip_agent.enrolment import IdentityWatch
from flip_agent.health import Health
from flip_agent.hub_client import HubClient
from flip_agent.hub_link import HubLink
from flip_agent.identity import Identity
from flip_agent.inference_peer import InferencePeer
from flip_agent.local import Status
from flip_agent.local_server import LocalServer
from flip_agent.memory import give_memory_back
from flip_agent.model_store import ModelStore
from flip_agent.outbox import Outbox
from flip_agent.reported import Reported
from flip_agent.rollout import Rollout
from flip_agent.settings import Settings
from flip_agent.state_folder import make_state_folder, owned
from flip_agent.systemd import Notifier
from flip_agent.uplink import Uplink
from flip_agent.watched import Watched, run_until
from flip_runtime.supervisor import Service, supervise

log = logging.getLogger(__name__)


def run(settings: Settings, config: Path | None) -> None:
    """Until SIGTERM or SIGINT; then everything, children included, is gone within ten seconds."""
    make_state_folder(settings.agent.state)
    with owned(settings.agent.state):
        give_memory_back()
        asyncio.run(_until_signal(settings, config))


async def _until_signal(settings: Settings, config: Path | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    outbox = await Outbox.open(settings.agent.state / "outbox.db", max_bytes=settings.outbox.max_bytes)
    daemon = Daemon(settings, config, outbox)
    try:
        await run_until(stop.wait(), daemon.run())
    finally:
        await outbox.close()
        log.info("stopped")


class Daemon:
    def __init__(self, settings: Settings, config: Path | None, outbox: Outbox) -> None:
        self._settings = settings.agent
        self._outbox = outbox
        self._notifier = Notifier()
        self._enrolment = IdentityWatch(self._settings.state)
        self._desired = Watched(load_desired(self._settings.state))
        self._reported = Reported(self._desired.value.generation)
        self._inference = InferencePeer(self._reported)
        self._link = HubLink()
        self._store = ModelStore(self._settings.state / "models")
        self._health = Health(
            *(self._settings.state, self._settings.heartbeat, outbox, self._link),
            *(self._desired, self._reported, self._inference),
        )
        self._local = LocalServer(
            *(self._settings.run_socket, outbox, self._desired, self._reported, self._inference),
            status=self._status,
            listening=self._notifier.ready,
        )
        self._children = Children(self._settings.state, config, self._desired)

    async def run(self) -> None:
        self._store.create()
        await supervise(self._services())

    def _services(self) -> list[Service]:
        services = [
            Service("outbox", self._outbox.run),
            Service("local server", self._local.run),
            Service("notifier", lambda: self._notifier.run(self._link.state)),
            Service("enrolment", self._enrolment.run),
            Service("hub", self._follow_identity),
        ]
        if self._settings.supervise:
            services += [
                Service("serve", self._children.run_serve),
                Service("train", self._children.run_train),
            ]
        return services

    def _hub_services(self, hub: HubClient) -> list[Service]:
        return [
            Service("uplink", Uplink(self._outbox, hub).run),
            Service("desired state", DesiredStatePoll(self._settings.state, hub, self._desired).run),
            Service("rollout", Rollout(self._store, hub, self._desired, self._inference, self._reported).run),
            Service("health", self._health.run),
        ]

    async def _follow_identity(self) -> None:
        """Joins the hub once there is an identity, and anew when the device was enrolled again."""
        if self._enrolment.identity.value is None:
            log.info("waiting for enrolment", extra={"how": "flip-agent enrol URL --token T"})
        enrolled = self._enrolment.identity
        while True:
            identity = await enrolled.until(lambda identity: identity is not None)
            assert identity is not None
            await run_until(enrolled.other_than(identity), self._join(identity))
            self._desired.set(UNKNOWN)

    async def _join(self, identity: Identity) -> None:
        log.info("enrolled", extra={"device": identity.device_id, "hub": identity.hub_url})
        self._link.joining(identity.hub_url)
        hub = HubClient(identity, self._settings.state, self._link)
        try:
            await supervise(self._hub_services(hub))
        finally:
            hub.close()

    async def _status(self) -> Status:
        identity, link = self._enrolment.identity.value, self._link.state.value
        return Status(
            device_id=None if identity is None else identity.device_id,
            name=socket.gethostname() if identity is None else identity.name,
            hub="" if identity is None else identity.hub_url,
            hub_connected=link.connected,
            hub_detail=link.sentence,
            reported=self._reported.state.value,
            health=await self._health.report(),
        )
