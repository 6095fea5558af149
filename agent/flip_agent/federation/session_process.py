"""`flip-agent train`: one training session, from the first announced run until there is nothing left to do.

It takes no signal: it may be ended, also by kill -9 or a power cut, at any moment, and goes on from `session.db`.
"""

import asyncio
import logging
import sys
from concurrent.futures import ThreadPoolExecutor

from flip_agent.device_key import load_key, read_key
from flip_agent.durable_file import move_aside
from flip_agent.federation.app_signature import TrustedKeys
from flip_agent.federation.app_store import AppStore
from flip_agent.federation.contribution_client import ContributionClient
from flip_agent.federation.delivery import Delivery
from flip_agent.federation.fleet_client import FleetClient
from flip_agent.federation.message_steps import MessageSteps
from flip_agent.federation.node_auth import NodeAuth
from flip_agent.federation.own_parts_keeper import OwnPartsKeeper
from flip_agent.federation.run_link import RunLink
from flip_agent.federation.session import Session
from flip_agent.federation.session_store import SessionStore
from flip_agent.federation.settlement import Settlement
from flip_agent.federation.statement_signer import StatementSigner
from flip_agent.federation.traffic import Traffic
from flip_agent.federation.warm_worker import WarmWorker
from flip_agent.federation.worker import Worker
from flip_agent.identity import Identity, load_identity
from flip_agent.models.store import ModelStore
from flip_agent.own_parts import FOLDER
from flip_agent.settings import Settings
from flip_runtime.errors import ConfigError, Corrupt
from flip_wire.telemetry import SessionEvent

_THREADS = 16
_HANDED_OVER_WITHIN = 5.0
"""Seconds for the last events; what `run` has not by then it gets the next time."""
_LOST = "session.db was damaged and begun anew: what was in progress on this device is lost"

log = logging.getLogger(__name__)


def train(settings: Settings) -> None:
    """Blocks. Raises `ConfigError` before enrolment and without a good key, `Unavailable` while another session runs
    on this device."""
    state = settings.agent.state
    identity = load_identity(state)
    if identity is None:
        raise ConfigError(f"no identity in {state}", hint="run flip-agent enrol URL --token T")
    auth = NodeAuth(read_key(state))
    traffic = Traffic()
    fleet = FleetClient(identity.fleet_address, auth, identity.ca, lease=settings.federation.lease, traffic=traffic)
    contributions = ContributionClient(identity.fleet_address, auth, identity.ca, traffic=traffic)
    try:
        apps = AppStore(state / "apps", TrustedKeys.of(identity.app_keys, settings.federation.trusted_app_keys))
        while not _lived(settings, identity, fleet, contributions, apps, traffic):
            log.warning("the session begins anew")
    finally:
        fleet.close()
        contributions.close()


def _lived(
    settings: Settings,
    identity: Identity,
    fleet: FleetClient,
    contributions: ContributionClient,
    apps: AppStore,
    traffic: Traffic,
) -> bool:
    """One life of the session; False when `session.db` could not be read, and was moved aside."""
    path = settings.agent.state / "session.db"
    lost = path.with_name(f"{path.name}.lost")
    damaged = False
    try:
        with SessionStore(path) as store:
            if lost.exists():
                store.events.keep(SessionEvent(run_id="", message_id="", step="failed", detail=_LOST))
                store.events.lose_unknown(f"number unknown: {path.name} was damaged")
                lost.unlink()
            asyncio.run(_session(settings, identity, store, fleet, contributions, apps, traffic))
    except* Corrupt as errors:
        log.error("session.db is damaged", extra={"reason": str(errors.exceptions[0])})
        damaged = True
    if damaged:
        lost.touch()  # until it is told: a power cut may come in between
        move_aside(path)
    return not damaged


async def _session(
    settings: Settings,
    identity: Identity,
    store: SessionStore,
    fleet: FleetClient,
    contributions: ContributionClient,
    apps: AppStore,
    traffic: Traffic,
) -> None:
    # a thread for each call that may be held back: a pull, receipts, uploads; the default has six on two cores
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
    federation = settings.federation
    link = RunLink(settings.agent.run_socket, store, limited=settings.network.daily_bytes > 0)
    traffic.drawn_by(link.draw)
    delivery = Delivery(store, fleet, contributions)
    signer = StatementSigner(load_key(settings.agent.state), identity.device_id)
    sockets = settings.agent.sockets
    worker = WarmWorker(apps, lambda app: Worker(app, time_limit=federation.app_timeout, sockets=sockets))
    models = ModelStore(settings.agent.state / "models")
    parts = OwnPartsKeeper(settings.agent.state / FOLDER, models)
    steps = MessageSteps(store, fleet, apps, delivery, link, federation, worker, signer, parts)
    settlement = Settlement(store, delivery, link)
    session = Session(
        store, fleet, steps, worker, settlement, link, idle_exit=federation.idle_exit, lease=federation.lease
    )
    log.info("training session", extra={"device": identity.device_id, "fleet": identity.fleet_address})
    if sys.stderr.isatty():
        log.info("stays while the hub announces work; flip-agent run starts it then, nobody has to by hand")
    async with asyncio.TaskGroup() as group:
        talk = group.create_task(link.run())
        await session.run()
        await link.give_back(traffic.unused())
        await link.handed_over(_HANDED_OVER_WITHIN)
        talk.cancel()
    log.info("nothing left to do")
