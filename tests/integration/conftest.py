"""Fixtures that more than one file of integration tests stands on."""

from collections.abc import AsyncGenerator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from session_lab import Hub


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
