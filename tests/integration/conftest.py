"""Fixtures that more than one file of integration tests stands on."""

from collections.abc import AsyncGenerator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest_asyncio

from flip_hub.mongo import Database, Mongo
from flip_hub.registry.schema import prepare_registry
from flip_hub.settings import MongoSection

if TYPE_CHECKING:
    from session_lab import Hub


@pytest_asyncio.fixture
async def database(mongo_url: str) -> AsyncGenerator[Database]:
    """A registry of its own, prepared."""
    mongo = Mongo(MongoSection(url=mongo_url, database=f"test-{uuid4().hex[:12]}"))
    await mongo.prepare(prepare_registry)
    yield mongo.database
    await mongo.database.client.drop_database(mongo.database.name)
    mongo.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started_hub(mongo_url: str) -> AsyncGenerator["Hub"]:
    """One for each file: it takes ten seconds."""
    from session_lab import Hub  # with Flower, which takes a second: not for tests that need no whole hub

    with TemporaryDirectory(prefix="flip-") as folder:
        hub = Hub(Path(folder) / "hub", mongo_url)
        await hub.start()
        yield hub
        await hub.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def hub(started_hub: "Hub") -> AsyncGenerator["Hub"]:
    """A whole one, without devices and without a run that goes on."""
    yield started_hub
    await started_hub.forget()
