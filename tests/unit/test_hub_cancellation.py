"""What goes on after errors ends when it is told to, although its parts fail while they end."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisGone

from flip_hub.cluster.bus import Bus
from flip_hub.cluster.redis import RedisLink
from flip_hub.mongo import DatabaseDown, Mongo
from flip_hub.settings import MongoSection

pytestmark = pytest.mark.asyncio


class _Listener:
    def __init__(self) -> None:
        self.listening = asyncio.Event()

    async def subscribe(self, *channels: str) -> None:
        pass

    async def get_message(self, timeout: float) -> None:
        self.listening.set()
        try:
            await asyncio.sleep(timeout)
        finally:
            raise RedisGone("the connection was closed while it was told to end")


class _Client:
    def __init__(self, listener: _Listener) -> None:
        self._listener = listener

    @asynccontextmanager
    async def pubsub(self, **_: object) -> AsyncGenerator[_Listener]:
        yield self._listener

    async def publish(self, channel: str, message: bytes) -> None:
        pass


async def test_the_link_to_redis_ends_although_its_connection_fails_meanwhile() -> None:
    listener = _Listener()
    running = asyncio.create_task(RedisLink(cast(Redis, _Client(listener)), "flip", Bus()).run())
    await listener.listening.wait()
    running.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait([running])
    assert running.cancelled()


async def test_what_needs_the_registry_ends_although_the_registry_goes_away_meanwhile() -> None:
    mongo: Any = Mongo(MongoSection(url="mongodb://127.0.0.1:1", database="unused"))
    started = asyncio.Event()

    async def watch() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise DatabaseDown("gone")

    mongo.prepared.set()
    running = asyncio.create_task(mongo.keep_running(watch))
    await started.wait()
    running.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait([running])
    assert running.cancelled()
    mongo.close()
