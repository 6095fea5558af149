"""Starts are counted on the disk before anything can go wrong, and a crash loop gives things up."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flip_agent.start_counter import Mode, Pace, StartCounter
from flip_runtime.errors import ConfigError

QUICK = Pace(settled_after=0.0, reduced_for=0.0, safe_for=0.0)


class Crash(BaseException):
    """The process is gone."""


def crash(folder: Path, times: int) -> list[Mode]:
    """The mode of each start."""
    modes: list[Mode] = []
    for _ in range(times):
        counter = StartCounter(folder)
        modes.append(counter.mode.value)
        with crashing(counter):
            pass
    return modes


@contextmanager
def crashing(counter: StartCounter) -> Generator[None]:
    """The process dies after what is done here."""
    life = counter.counted()
    life.__enter__()
    yield
    life.__exit__(Crash, Crash(), None)


def test_the_third_quick_failure_reduces_and_the_fifth_leaves_only_what_helps(folder: Path) -> None:
    assert crash(folder, 7) == [*[Mode.NORMAL] * 3, *[Mode.REDUCED] * 2, *[Mode.SAFE] * 2]


def test_an_orderly_stop_clears_the_count(folder: Path) -> None:
    crash(folder, 4)
    with StartCounter(folder).counted():
        pass
    assert crash(folder, 1) == [Mode.NORMAL]


def test_a_minute_of_good_health_clears_the_count(folder: Path) -> None:
    crash(folder, 2)
    counter = StartCounter(folder, QUICK)
    with crashing(counter):
        asyncio.run(counter.run())
    assert StartCounter(folder).failures == 0


def test_a_configuration_that_is_refused_is_no_failure_of_the_agent(folder: Path) -> None:
    crash(folder, 2)
    with pytest.raises(ConfigError), StartCounter(folder).counted():
        raise ConfigError("the operator must act")
    assert StartCounter(folder).failures == 2


def test_a_reduced_mode_is_left_on_probation(folder: Path) -> None:
    crash(folder, 5)
    counter = StartCounter(folder, Pace(settled_after=3600.0, safe_for=0.0))
    assert counter.mode.value is Mode.SAFE

    async def until_tried_again() -> None:
        async with asyncio.timeout(30):
            running = asyncio.create_task(counter.run())
            await counter.mode.until(lambda mode: mode is Mode.NORMAL)
            running.cancel()

    with crashing(counter):
        asyncio.run(until_tried_again())
    assert crash(folder, 1) == [Mode.REDUCED]


def test_a_damaged_count_and_a_folder_that_cannot_be_written_keep_nobody_from_starting(folder: Path) -> None:
    (folder / "starts.json").write_text("{")
    assert StartCounter(folder).mode.value is Mode.NORMAL
    with StartCounter(folder / "gone").counted():
        pass
