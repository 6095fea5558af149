"""Fixtures that more than one file of integration tests stands on."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from session_lab import Hub


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator["Hub"]:
    """One for each test: a device that has left stays online for an hour, and strategies would wait for it."""
    from session_lab import Hub  # with Flower, which takes a second: not for tests that need no whole hub

    hub = Hub(folder / "hub", mongo_url)
    await hub.start()
    yield hub
    await hub.stop()
