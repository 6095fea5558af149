"""Group commit: who comes while a write is under way is written together, and nobody is answered before."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from flip_hub.mongo import DatabaseDown
from flip_hub.problem import Forbidden
from flip_hub.telemetry.group_commit import GroupCommit
from flip_runtime.errors import FlipError, Unavailable


class Registry:
    """Says what it was given at once, and waits until it may go on."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def write(self, items: Sequence[str]) -> Sequence[FlipError | None]:
        self.groups.append(list(items))
        await self.open.wait()
        if "poison" in items:
            raise ValueError("poison")
        return [Forbidden("revoked") if item == "revoked" else None for item in items]


@asynccontextmanager
async def writing(
    write: Callable[[Sequence[str]], Awaitable[Sequence[FlipError | None]]], *, most_bytes: int = 1000
) -> AsyncGenerator[GroupCommit[str]]:
    commits = GroupCommit(write, pace=0.01, most_bytes=most_bytes)
    running = asyncio.create_task(commits.run())
    try:
        yield commits
    finally:
        running.cancel()
        await asyncio.wait([running])


async def _come(commits: GroupCommit[str], *items: str) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(commits.commit(item, 10)) for item in items]
    await asyncio.sleep(0)
    return tasks


@pytest.mark.asyncio
async def test_what_comes_while_a_write_is_under_way_is_written_together() -> None:
    registry = Registry()
    async with writing(registry.write) as commits:
        registry.open.clear()
        first = await _come(commits, "a")
        while not registry.groups:
            await asyncio.sleep(0)
        others = await _come(commits, "b", "c", "d")
        assert not any(task.done() for task in (*first, *others)), "nothing is written yet"
        registry.open.set()
        await asyncio.gather(*first, *others)
        assert registry.groups == [["a"], ["b", "c", "d"]]


@pytest.mark.asyncio
async def test_what_cannot_be_written_does_not_keep_the_others_from_it() -> None:
    async with writing(Registry().write) as commits:
        told = await asyncio.gather(
            *(commits.commit(item, 1) for item in ("a", "poison", "revoked", "b")), return_exceptions=True
        )
        assert [type(each) for each in told] == [type(None), ValueError, Forbidden, type(None)]


@pytest.mark.asyncio
async def test_a_registry_that_is_away_is_asked_once_for_all_of_them() -> None:
    asked = 0

    async def write(items: Sequence[str]) -> Sequence[None]:
        nonlocal asked
        asked += 1
        raise DatabaseDown("away")

    async with writing(write) as commits:
        told = await asyncio.gather(*(commits.commit(item, 1) for item in "abc"), return_exceptions=True)
        assert [type(each) for each in told] == [DatabaseDown] * 3
        assert asked == 1


@pytest.mark.asyncio
async def test_more_than_can_be_held_is_refused_with_a_time_to_come_again() -> None:
    registry = Registry()
    async with writing(registry.write, most_bytes=25) as commits:
        registry.open.clear()
        under_way = await _come(commits, "a")
        while not registry.groups:
            await asyncio.sleep(0)
        waiting = await _come(commits, "b", "c")
        with pytest.raises(Unavailable) as refused:
            await commits.commit("d", 10)
        assert refused.value.retry_after
        registry.open.set()
        await asyncio.gather(*under_way, *waiting)


@pytest.mark.asyncio
async def test_what_waits_unread_is_read_when_the_next_group_is_gathered_and_goes_with_it() -> None:
    registry, read = Registry(), list[str]()
    done: list[asyncio.Future[None]] = []
    async with writing(registry.write) as commits:

        def bring(item: str) -> None:
            def submit() -> None:
                read.append(item)
                try:
                    done.append(commits.submit(item, 5))
                except Unavailable:
                    read.append("refused")

            commits.bring(submit, 5)

        bring("a")
        assert read == [], "it is read by who writes"
        registry.open.clear()
        while not registry.groups:
            await asyncio.sleep(0)
        for number in range(100):
            bring(f"b{number}")
        commits.bring(lambda: read.append("nothing to write"), 10)
        await asyncio.sleep(0)
        assert read == ["a"], "nothing is read while a write is under way"
        commits.bring(lambda: read.append("at once"), 1000)
        assert read == ["a", "at once"], "more waits than can be held"
        registry.open.set()
        while len(done) < 101:
            await asyncio.sleep(0)
        await asyncio.gather(*done)
        assert registry.groups == [["a"], [f"b{number}" for number in range(100)]]
        registry.open.clear()
        bring("c")
        while len(registry.groups) < 3:
            await asyncio.sleep(0)
        bring("d")
        stopping = asyncio.create_task(commits.commit("e", 10))
        await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await stopping
    assert read[-2:] == ["d", "refused"], "whoever waits unread is told that the hub stops"


@pytest.mark.asyncio
async def test_when_the_hub_stops_nobody_is_left_waiting() -> None:
    registry = Registry()
    async with writing(registry.write) as commits:
        registry.open.clear()
        under_way = await _come(commits, "a")
        while not registry.groups:
            await asyncio.sleep(0)
        waiting = await _come(commits, "b")
    for task in (*under_way, *waiting):
        with pytest.raises(Unavailable):
            await task
    with pytest.raises(Unavailable):
        await commits.commit("late", 1)
