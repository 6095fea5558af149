"""A new version of the Debian package is on probation until it has shown that it does good; this is what shows it.

Root's part (`/usr/lib/flip-agent/update.py`) writes what is on probation, and goes back to the version before unless it
reads in time that the new one is well: it has run for a minute, and the hub has answered it. Where the hub cannot be
reached at all, not even by the plainest connection, running has to do; a version that cannot speak to one that is
there goes back.
"""

import asyncio
import contextlib
import logging
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from flip_agent.hub.link import HubLink, Phase
from flip_agent.identity import Identity
from flip_agent.version import AGENT_VERSION
from flip_agent.watched import Watched
from flip_runtime.atomic import write_file

log = logging.getLogger(__name__)

REQUEST_FILE = "update"
"""In the folder of the sockets; `flip-update.path` watches it."""
_OFFLINE_FOR = 180.0
"""Seconds without any way to the hub after which running has to do."""
_LOOK_EVERY = 5.0
_CONNECT_WITHIN = 10.0


class _Probation(Struct, frozen=True):
    """What root's part writes; more than is read here."""

    version: str


class Probation:
    def __init__(
        self, package: Path, sockets: Path, settled: Watched[bool], link: HubLink, identity: Watched[Identity | None]
    ) -> None:
        """`package`: the folder of root's part; `settled`: whether this start was a good one."""
        self._probation = package / "probation.json"
        self._request = sockets / REQUEST_FILE
        self._settled = settled
        self._link = link
        self._identity = identity

    async def run(self) -> None:
        """Returns when nothing is left to show."""
        await self._settled.until(bool)
        unreachable = 0.0
        while self._on_probation():
            if self._answered() or unreachable >= _OFFLINE_FOR:
                write_file(self._request, f"settled {AGENT_VERSION}\n".encode())
                log.info("this version is well", extra={"version": AGENT_VERSION})
                return
            unreachable = 0.0 if await self._reachable() else unreachable + _LOOK_EVERY
            await asyncio.sleep(_LOOK_EVERY)

    def _on_probation(self) -> bool:
        try:
            return msgspec.json.decode(self._probation.read_bytes(), type=_Probation).version == AGENT_VERSION
        except (OSError, ValueError):
            return False

    def _answered(self) -> bool:
        """The hub, whatever it said; or there is none to ask."""
        return self._identity.value is None or self._link.heard_of or self._link.state.value.phase is Phase.CONNECTED

    async def _reachable(self) -> bool:
        identity = self._identity.value
        assert identity is not None
        url = urlsplit(identity.hub_url)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CONNECT_WITHIN):
                _, writer = await asyncio.open_connection(url.hostname, url.port or 443)
                writer.close()
                return True
        return False
