"""A watched value wakes those who wait for it, and nobody for nothing."""

import asyncio

import pytest

from flip_agent.watched import Watched, run_until
from flip_runtime.errors import Fatal

pytestmark = pytest.mark.asyncio


async def test_a_slow_reader_sees_the_newest_value_only() -> None:
    watched, seen = Watched(0), list[int]()
    async with asyncio.timeout(5):
        async for value in watched.values():
            seen.append(value)
            if value == 3:
                break
            for newer in (1, 2, 3):
                watched.set(newer)
    assert seen == [0, 3]


async def test_an_equal_value_wakes_nobody() -> None:
    watched = Watched("same")
    waiting = asyncio.create_task(watched.other_than("same"))
    await asyncio.sleep(0)
    watched.set("same")
    await asyncio.sleep(0)
    assert not waiting.done()
    watched.set("other")
    assert await asyncio.wait_for(waiting, 5) == "other"


async def test_work_is_cancelled_when_the_change_comes() -> None:
    watched, ended = Watched(False), asyncio.Event()

    async def work() -> None:
        try:
            watched.set(True)
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async with asyncio.timeout(5):
        await run_until(watched.until(bool), work())
    assert ended.is_set()


async def test_a_fatal_error_of_the_work_comes_out_as_it_is() -> None:
    async def work() -> None:
        raise Fatal("nothing can be done")

    with pytest.raises(Fatal, match="nothing can be done"):
        await run_until(asyncio.sleep(3600), work())
