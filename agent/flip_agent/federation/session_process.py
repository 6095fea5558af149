"""`flip-agent train`: one training session, from the first announced run until there is nothing left to do.

It takes no signal: it may be ended, also by kill -9 or a power cut, at any moment, and goes on from `session.db`.
"""

import asyncio
import logging
from pathlib import Path

from flip_agent.federation.app_signature import TrustedKeys
from flip_agent.federation.app_store import AppStore
from flip_agent.federation.fleet_client import FleetClient
from flip_agent.federation.message_steps import MessageSteps
from flip_agent.federation.run_link import RunLink
from flip_agent.federation.session import Session
from flip_agent.federation.session_store import SessionStore
from flip_agent.identity import KEY_FILE, Identity, load_identity
from flip_agent.settings import Settings
from flip_runtime.errors import ConfigError

log = logging.getLogger(__name__)


def train(settings: Settings) -> None:
    """Blocks. Raises `ConfigError` before enrolment, `Unavailable` while another session runs on this device."""
    state = settings.agent.state
    identity = load_identity(state)
    if identity is None:
        raise ConfigError(f"no identity in {state}", hint="run flip-agent enrol URL --token T")
    fleet = FleetClient(identity.fleet_address, _key(state / KEY_FILE), identity.ca)
    try:
        apps = AppStore(state / "apps", TrustedKeys.of(identity.app_keys, settings.federation.trusted_app_keys))
        with SessionStore(state / "session.db") as store:
            asyncio.run(_session(settings, identity, store, fleet, apps))
    finally:
        fleet.close()


async def _session(
    settings: Settings, identity: Identity, store: SessionStore, fleet: FleetClient, apps: AppStore
) -> None:
    link = RunLink(settings.agent.run_socket)
    steps = MessageSteps(store, fleet, apps, link, settings.federation)
    session = Session(store, fleet, steps, link, idle_exit=settings.federation.idle_exit)
    log.info("training session", extra={"device": identity.device_id, "fleet": identity.fleet_address})
    async with asyncio.TaskGroup() as group:
        talk = group.create_task(link.run())
        await session.run()
        talk.cancel()
    log.info("nothing left to do")


def _key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="check its owner, or enrol again") from error
