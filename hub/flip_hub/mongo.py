"""The registry's connection: what is acknowledged is on disk, and a server that is away is noticed in seconds."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import ConnectionFailure, PyMongoError
from pymongo.write_concern import WriteConcern

from flip_hub.settings import MongoSection
from flip_runtime.backoff import Backoff
from flip_runtime.errors import ConfigError

log = logging.getLogger(__name__)

DatabaseDown = ConnectionFailure
"""What every call to the registry raises while the server is away; time heals it."""

Document = dict[str, Any]
"""As the driver takes and gives it; stores convert it to Structs at once."""
Database = AsyncIOMotorDatabase[Document]

AWAY_AFTER = 2_000
"""Milliseconds until a call gives up on a server that does not answer: API callers wait that long for their 503."""
POOL = 32
"""Connections at most."""


class Indexed(Protocol):
    """A store."""

    async def ensure_indexes(self) -> None: ...


class Mongo:
    """One client per process; `database` is handed to the stores."""

    def __init__(self, settings: MongoSection) -> None:
        """Raises `ConfigError` when the URL is none; connects only when it is first used."""
        self._url = settings.url
        try:
            self._client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
                settings.url,
                serverSelectionTimeoutMS=AWAY_AFTER,
                connectTimeoutMS=AWAY_AFTER,
                socketTimeoutMS=30_000,
                maxPoolSize=POOL,
                appname="flip-hub",
            )
            self.database: Database = self._client.get_database(
                settings.database, write_concern=WriteConcern(w="majority", j=True)
            )
        except (PyMongoError, ValueError) as error:
            raise ConfigError(f"mongo.url or mongo.database: {error}", hint="correct [mongo] in hub.toml") from error
        self.prepared = asyncio.Event()
        """Set once the server was there and every store has its indexes."""

    async def prepare(self, stores: Sequence[Indexed]) -> None:
        """Waits for the server, says so once, and makes the indexes: before that nothing may be written."""
        backoff, failures = Backoff(first=0.5, most=5.0), 0
        while not self.prepared.is_set():
            try:
                await self.database.command("ping")
                for store in stores:
                    await store.ensure_indexes()
                self.prepared.set()
            except DatabaseDown:
                failures += 1
                if failures == 1:
                    log.warning("MongoDB is not reachable, waiting for it", extra={"setting": "mongo.url"})
                await asyncio.sleep(backoff.delay(failures))
        log.info("registry ready")

    async def missing(self) -> str:
        """Says what is wrong, or nothing."""
        try:
            await self.database.command("ping")
        except DatabaseDown:
            return "not reachable, see mongo.url"
        return "" if self.prepared.is_set() else "its indexes are being made"

    def close(self) -> None:
        self._client.close()
