"""Redis, for a hub of several processes: `Volatile` values with their expiry, and the `Bus` between the processes.

Redis may be away at any time: calls raise `Unavailable` after seconds, the bus goes on once it is back and says that
messages were missed.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from redis.asyncio import Redis, from_url
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from flip_hub.cluster.bus import Bus, Topic
from flip_hub.settings import RedisSection
from flip_runtime.backoff import Backoff
from flip_runtime.cancellation import in_own_task
from flip_runtime.config import secret_of
from flip_runtime.errors import ConfigError, Unavailable

log = logging.getLogger(__name__)

AWAY_AFTER = 2.0
"""Seconds until a call gives up."""
_LONGEST_QUEUE = 10_000
"""Messages that wait for Redis; then all of them are given up and the others told that they have missed some."""
_ORIGIN = 8
"""Bytes at the beginning of each message: which process has sent it, so that it does not hear itself."""
_GAP = "gap"
_HINT = "see redis.url; calls that need no session go on"


def connect(settings: RedisSection) -> Redis:
    """Connects when it is first used. Raises `ConfigError`."""
    try:
        return from_url(
            settings.url,
            password=secret_of(settings.password_file, "redis.password_file") if settings.password_file else None,
            socket_timeout=AWAY_AFTER,
            socket_connect_timeout=AWAY_AFTER,
            max_connections=32,
            health_check_interval=10,
            retry=Retry(NoBackoff(), 1),  # a connection may be of before Redis' last restart
            client_name="flip-hub",
        )
    except ValueError as error:
        raise ConfigError(f"redis.url: {error}", hint="redis://HOST:PORT/0, or rediss:// with TLS") from error


class RedisVolatile:
    """`flip_hub.cluster.volatile.Volatile`; keys begin with `prefix`."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    async def get(self, key: str) -> bytes | None:
        async with _answering():
            return _bytes(await self._client.get(self._key(key)))

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        async with _answering():
            await self._client.set(self._key(key), value, px=_milliseconds(seconds))

    async def add(self, key: str, value: bytes, seconds: float) -> bool:
        async with _answering():
            return bool(await self._client.set(self._key(key), value, px=_milliseconds(seconds), nx=True))

    async def take(self, key: str) -> bytes | None:
        async with _answering():
            return _bytes(await self._client.getdel(self._key(key)))

    async def remove(self, *keys: str) -> None:
        if keys:
            async with _answering():
                await self._client.delete(*map(self._key, keys))

    async def count(self, key: str, seconds: float) -> int:
        async with _answering(), self._client.pipeline(transaction=True) as both:
            both.incr(self._key(key))
            both.pexpire(self._key(key), _milliseconds(seconds), nx=True)
            counted, _ = await both.execute()
            return counted

    async def left(self, key: str) -> float:
        async with _answering():
            return max(0.0, await self._client.pttl(self._key(key)) / 1000)

    async def missing(self) -> str:
        try:
            async with _answering():
                await self._client.ping()
        except Unavailable:
            return "not reachable, see redis.url"
        return ""

    def _key(self, key: str) -> str:
        return f"{self._prefix}:{key}"


class RedisLink:
    """Carries what a `Bus` tells to the other hubs, and back."""

    def __init__(self, client: Redis, prefix: str, bus: Bus) -> None:
        self._client = client
        self._prefix = prefix
        self._bus = bus
        self._origin = secrets.token_bytes(_ORIGIN)
        self._queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(_LONGEST_QUEUE)
        self._connected = False
        self._failures = 0
        """In a row."""

    def offer(self, topic: Topic, payload: bytes) -> None:
        if not self._connected:
            return  # the others will be told of the gap
        if self._queue.full():
            self._forget_queue()
            self._queue.put_nowait((_GAP, b""))
        self._queue.put_nowait((topic, payload))

    async def run(self) -> NoReturn:
        """Until it is cancelled; goes on when Redis is back."""
        backoff = Backoff(first=0.2, most=2.0)
        while True:
            try:
                await in_own_task(self._follow)
            except* (RedisError, OSError) as errors:
                if not self._failures:
                    log.warning("Redis is not reachable, waiting for it", extra={"reason": str(errors.exceptions[0])})
                self._failures += 1
            finally:
                self._connected = False
                self._forget_queue()
            await asyncio.sleep(backoff.delay(self._failures))

    async def _follow(self) -> None:
        async with self._client.pubsub(ignore_subscribe_messages=True) as listener:
            await listener.subscribe(*(self._channel(name) for name in (*Topic, _GAP)))
            if self._failures:
                log.info("Redis is reachable")
            self._failures = 0
            await self._exchange(listener)

    async def _exchange(self, listener: PubSub) -> None:
        """Whoever could not be heard may have missed something, here and there."""
        self._connected = True
        self._queue.put_nowait((_GAP, b""))
        self._bus.missed()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send())
            group.create_task(self._hear(listener))

    async def _send(self) -> NoReturn:
        while True:
            name, payload = await self._queue.get()
            await self._client.publish(self._channel(name), self._origin + payload)

    async def _hear(self, listener: PubSub) -> NoReturn:
        while True:
            message: dict[str, Any] | None = await listener.get_message(timeout=5.0)
            if message is None or message["data"][:_ORIGIN] == self._origin:
                continue
            name = message["channel"].decode().removeprefix(f"{self._prefix}:bus:")
            if name == _GAP:
                self._bus.missed()
            else:
                self._bus.heard(Topic(name), message["data"][_ORIGIN:])

    def _channel(self, name: str) -> str:
        return f"{self._prefix}:bus:{name}"

    def _forget_queue(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()


@asynccontextmanager
async def _answering() -> AsyncGenerator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable("Redis does not answer", hint=_HINT) from error


def _bytes(value: bytes | str | None) -> bytes | None:
    """What the client gives, whose type leaves open whether it decodes."""
    return value.encode() if isinstance(value, str) else value


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
