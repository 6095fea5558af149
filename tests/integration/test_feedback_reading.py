"""`flip_agent.samples` against stores behind real Unix sockets: page by page, and from the instance that has them."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest

from flip_agent import samples
from flip_agent.feedback import sample_file
from flip_agent.feedback.local_app import serve_locally
from flip_agent.feedback.routes import reading
from flip_agent.feedback.sample_store import SampleStore
from flip_agent.inference.http.routes import local_app
from flip_demo.perceptron import Array
from flip_runtime.errors import Unavailable
from sample_stores import Clock, bulk, rows, running

pytestmark = pytest.mark.asyncio


@contextlib.asynccontextmanager
async def instance(folder: Path, name: str, clock: Clock) -> AsyncGenerator[SampleStore]:
    """A store behind the socket that `flip-agent serve NAME` would offer."""
    place = folder / f"serve-{name}.sock"
    async with running(folder / name, clock=clock) as store:
        serving = asyncio.create_task(serve_locally(place, local_app(reading(store))))
        try:
            async with asyncio.timeout(30):
                while not connects(place):
                    await asyncio.sleep(0.01)
            yield store
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


def connects(path: Path) -> bool:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as found:
        return found.connect_ex(str(path)) == 0


async def load(folder: Path, newest: int | None = None, patience: float = 10.0) -> samples.Samples:
    return await asyncio.to_thread(samples.load, "weather", newest=newest, sockets=folder, patience=patience)


def only(found: samples.Samples) -> Array:
    """The inputs of a model that has one."""
    assert not isinstance(found.inputs, dict)
    return found.inputs


async def test_many_samples_come_page_by_page_as_they_were_when_the_reader_began(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_file, "_PAGE_ROWS", 10)
    async with instance(folder, "default", Clock()) as store:
        await store.add(bulk(rows(35), [number % 3 for number in range(35)]))
        found = await load(folder)
        assert np.array_equal(only(found), rows(35))
        assert found.labels.tolist() == [number % 3 for number in range(35)]
        assert np.array_equal(only(await load(folder, newest=25)), rows(35)[10:])
        parts = samples.batches("weather", 4, sockets=folder)
        first = await asyncio.to_thread(next, parts)
        await store.add(bulk(rows(1), [0]))
        rest = await asyncio.to_thread(list, parts)
        assert len(first) + sum(map(len, rest)) == 35


async def test_of_several_instances_the_one_with_the_newest_samples_of_the_model_is_asked(folder: Path) -> None:
    clock = Clock()
    async with instance(folder, "a", clock) as a, instance(folder, "b", clock) as b:
        assert len(await load(folder)) == 0
        await a.add(bulk(rows(1), [0]))
        assert (await load(folder)).labels.tolist() == [0]
        clock.now += 60
        await b.add(bulk(rows(2), [1, 2]))
        assert (await load(folder)).labels.tolist() == [1, 2]


async def test_while_an_instance_is_away_that_may_have_them_a_reader_does_not_hear_that_there_are_none(
    folder: Path,
) -> None:
    (folder / "serve-killed.sock").touch()
    clock = Clock()
    async with instance(folder, "a", clock) as store:
        with pytest.raises(Unavailable, match="does not answer"):
            await load(folder, patience=0.1)
        await store.add(bulk(rows(1), [0]))
        assert len(await load(folder)) == 1
