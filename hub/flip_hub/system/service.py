"""Asks the hub's parts how they are, whenever somebody looks."""

import asyncio
import os
import platform
import shutil
import time
from collections.abc import Sequence
from importlib.metadata import version

from flip_hub.cluster.lease import Leading
from flip_hub.health import Health
from flip_hub.live import LiveHub
from flip_hub.mongo import DatabaseDown, Mongo
from flip_hub.observability.pulse import resident_memory
from flip_hub.settings import Settings
from flip_hub.system.schemas import Ingest, Part, Room, Setting, SystemState
from flip_hub.telemetry.service import TelemetryService
from flip_wire.version import WIRE_VERSION

_PACKAGES = ("flwr", "litestar", "msgspec", "motor", "pymongo", "uvicorn", "cryptography")
_WITHIN = 3.0
"""Seconds that the registry may take to say how large it is."""


class System:
    def __init__(
        self,
        settings: Settings,
        shown: Sequence[Setting],
        *,
        mongo: Mongo,
        health: Health,
        live: LiveHub,
        telemetry: TelemetryService,
        leading: Leading,
    ) -> None:
        self._settings = settings
        self._shown = list(shown)
        self._mongo = mongo
        self._health = health
        self._live = live
        self._telemetry = telemetry
        self._leading = leading
        self._started_at = time.time()

    def settings(self) -> list[Setting]:
        """As the hub was started with them."""
        return self._shown

    async def state(self) -> SystemState:
        readiness, (server, size) = await asyncio.gather(self._health.readiness(), self._registry())
        versions = {"mongo": server, "superlink": f"flwr {version('flwr')}"}
        parts = [
            Part(
                name=name,
                missing=readiness.missing.get(name, ""),
                version="" if name in readiness.missing else versions.get(name, ""),
            )
            for name in self._health.names
        ]
        return SystemState(
            name=self._settings.cluster.name,
            leading=self._leading.held,
            version=version("flip-edge"),
            wire_version=WIRE_VERSION,
            started_at=self._started_at,
            memory=int(resident_memory()),
            cpu=time.process_time(),
            load=os.getloadavg()[0],
            readers=self._live.readers,
            parts=parts,
            ingest=self._ingest(),
            room=self._room(size),
            packages={"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        )

    async def _registry(self) -> tuple[str, int]:
        """The server's version, and the bytes that the registry takes."""
        try:
            async with asyncio.timeout(_WITHIN):
                built, stats = await asyncio.gather(
                    self._mongo.database.command("buildInfo"), self._mongo.database.command("dbStats")
                )
        except (DatabaseDown, TimeoutError):
            return "", 0
        return f"MongoDB {built['version']}", int(stats.get("storageSize", 0) + stats.get("indexSize", 0))

    def _ingest(self) -> Ingest:
        commits = self._telemetry.commits
        return Ingest(
            waiting=commits.waiting,
            waiting_bytes=commits.waiting_bytes,
            oldest=commits.oldest(),
            took=commits.took,
            events=self._telemetry.events,
        )

    def _room(self, database: int) -> Room:
        disk = shutil.disk_usage(self._settings.hub.state)
        return Room(folder=str(self._settings.hub.state), free=disk.free, total=disk.total, database=database)
