"""The registry's connection: what is acknowledged is on disk, and a server that is away is noticed in seconds."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection, AsyncIOMotorDatabase
from pymongo.errors import ConnectionFailure, PyMongoError
from pymongo.write_concern import WriteConcern

from flip_hub.settings import MongoSection
from flip_runtime.backoff import Backoff
from flip_runtime.cancellation import in_own_task
from flip_runtime.config import secret_of
from flip_runtime.errors import ConfigError, Unavailable

log = logging.getLogger(__name__)

DatabaseDown = ConnectionFailure
"""What every call to the registry raises while the server is away; time heals it."""

Document = dict[str, Any]
"""As the driver takes and gives it; stores convert it to Structs at once."""
Database = AsyncIOMotorDatabase[Document]
Collection = AsyncIOMotorCollection[Document]

AWAY_AFTER = 2_000
"""Milliseconds until a call gives up on a server that does not answer: API callers wait that long for their 503."""
PAUSE = 1.0
"""Seconds after a call that failed."""

Prepare = Callable[[Database], Awaitable[None]]
"""Makes the registry what this hub expects (`flip_hub.registry.schema`)."""


class Mongo:
    """One client per process; `database` is handed to the stores."""

    def __init__(self, settings: MongoSection) -> None:
        """Raises `ConfigError` when the URL is none; connects only when it is first used."""
        try:
            self._client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
                settings.url,
                **_secret(settings),
                serverSelectionTimeoutMS=AWAY_AFTER,
                connectTimeoutMS=AWAY_AFTER,
                socketTimeoutMS=30_000,
                maxPoolSize=settings.pool,
                minPoolSize=min(settings.pool_idle, settings.pool),
                waitQueueTimeoutMS=int(settings.pool_wait * 1000),
                appname="flip-hub",
            )
            self.database: Database = self._client.get_database(
                settings.database, write_concern=WriteConcern(w="majority", j=True)
            )
        except (PyMongoError, ValueError) as error:
            raise ConfigError(f"mongo.url or mongo.database: {error}", hint="correct [mongo] in hub.toml") from error
        self.server = urlsplit(settings.url).netloc.rpartition("@")[2]
        """For people: without user and password."""
        self.prepared = asyncio.Event()
        """Set once the server was there and the registry is as this hub expects it."""
        self._said_away = False

    async def prepare(self, make: Prepare) -> None:
        """Waits for the server and has the registry made: before that nothing may be written."""
        while not self.prepared.is_set():
            await self._wait_reachable()
            try:
                await in_own_task(lambda: make(self.database))
                self.prepared.set()
            except (DatabaseDown, Unavailable):
                await asyncio.sleep(PAUSE)
        log.info("registry ready")

    async def keep_running(self, run: Callable[[], Awaitable[None]]) -> None:
        """Runs what cannot do without the registry: once it is prepared, and again when it was away."""
        await self.prepared.wait()
        while True:
            try:
                return await in_own_task(run)
            except DatabaseDown:
                await asyncio.sleep(PAUSE)
                await self._wait_reachable()

    async def missing(self) -> str:
        """Says what is wrong, or nothing."""
        if await self._away():
            return "not reachable, see mongo.url"
        return "" if self.prepared.is_set() else "it is being prepared"

    async def _wait_reachable(self) -> None:
        """Says once that the server is away, whoever waits for it, and once that it is back."""
        backoff, failures = Backoff(first=0.5, most=5.0), 0
        while await self._away():
            if not self._said_away:
                log.warning(
                    "MongoDB is not reachable, waiting for it", extra={"server": self.server, "setting": "mongo.url"}
                )
            self._said_away = True
            failures += 1
            await asyncio.sleep(backoff.delay(failures))
        if self._said_away:
            log.info("MongoDB is reachable")
        self._said_away = False

    async def _away(self) -> bool:
        try:
            await self.database.command("ping")
        except DatabaseDown:
            return True
        return False

    def close(self) -> None:
        self._client.close()


def _secret(settings: MongoSection) -> dict[str, Any]:
    """Options of the client."""
    if settings.password_file is None:
        return {}
    if "@" not in settings.url:
        raise ConfigError(
            "mongo.password_file is of no user", hint="write the user into mongo.url: mongodb://USER@HOST"
        )
    return {"password": secret_of(settings.password_file, "mongo.password_file")}
