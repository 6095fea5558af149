"""What several hubs share, with a real Redis that goes away and comes back."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis_server import RedisServer

from flip_hub.cluster.bus import Bus, Topic
from flip_hub.cluster.redis import RedisLink, RedisVolatile, connect
from flip_hub.settings import RedisSection
from flip_runtime.errors import ConfigError, Unavailable


@pytest.fixture
def redis(folder: Path) -> Iterator[RedisServer]:
    server = RedisServer(folder, password="not for the command line")
    (folder / "password").write_text("not for the command line\n")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(redis: RedisServer, folder: Path) -> RedisSection:
    return RedisSection(url=redis.url, password_file=folder / "password")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.asyncio
async def test_values_are_shared_and_expire(settings: RedisSection) -> None:
    async with connect(settings) as one, connect(settings) as other:
        here, there = RedisVolatile(one, "flip"), RedisVolatile(other, "flip")
        await here.put("session", b"ada", 60.0)
        assert await there.get("session") == b"ada"
        assert 50.0 < await there.left("session") <= 60.0
        assert [await here.add("key", b"1", 60.0), await there.add("key", b"2", 60.0)] == [True, False]
        assert [await here.take("key"), await there.take("key")] == [b"1", None]
        assert [await here.count("n", 60.0), await there.count("n", 60.0), await here.count("n", 0.001)] == [1, 2, 3]
        await there.remove("session", "n")
        assert await here.get("session") is None
        assert await RedisVolatile(one, "another federation").get("session") is None
        await here.put("short", b"", 0.001)
        async with asyncio.timeout(30):
            while await there.get("short") is not None:
                await asyncio.sleep(0.01)
        assert await here.left("short") == 0.0


@pytest.mark.asyncio
async def test_hubs_hear_one_another_but_not_themselves_twice(settings: RedisSection) -> None:
    async with connect(settings) as client, asyncio.TaskGroup() as group:
        buses = [Bus(), Bus()]
        heard: list[list[bytes]] = [[], []]
        gaps = [0, 0]
        tasks: list[asyncio.Task[None]] = []

        def count(index: int) -> Callable[[], None]:
            def more() -> None:
                gaps[index] += 1

            return more

        for index, bus in enumerate(buses):
            bus.on(Topic.DEVICE, heard[index].append)
            bus.on_gap(count(index))
            link = RedisLink(client, "flip", bus)
            bus.connect(link)
            tasks.append(group.create_task(link.run()))
        await until(lambda: min(gaps) > 0)
        buses[0].tell(Topic.DEVICE, b"dev-1")
        buses[1].tell(Topic.DEVICE, b"dev-2")
        await until(lambda: len(heard[0]) == len(heard[1]) == 2)
        assert [sorted(each) for each in heard] == [[b"dev-1", b"dev-2"]] * 2
        for task in tasks:
            task.cancel()


@pytest.mark.asyncio
async def test_without_redis_calls_fail_clearly_and_its_return_tells_of_the_gap(
    settings: RedisSection, redis: RedisServer
) -> None:
    async with connect(settings) as client, asyncio.TaskGroup() as group:
        bus, gaps = Bus(), list[int]()
        bus.on_gap(lambda: gaps.append(1))
        link = RedisLink(client, "flip", bus)
        bus.connect(link)
        running = group.create_task(link.run())
        volatile = RedisVolatile(client, "flip")
        await until(lambda: bool(gaps))
        redis.stop()
        with pytest.raises(Unavailable, match="Redis does not answer"):
            await volatile.get("session")
        assert "redis.url" in await volatile.missing()
        bus.tell(Topic.DEVICE, b"nobody hears it")
        before = len(gaps)
        redis.start()
        await until(lambda: len(gaps) > before)
        assert await volatile.missing() == ""
        running.cancel()


def test_what_is_no_redis_is_said(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"redis\.url"):
        connect(RedisSection(url="http://somewhere"))
    with pytest.raises(ConfigError, match=r"redis\.password_file"):
        connect(RedisSection(url="redis://127.0.0.1", password_file=folder / "none"))
