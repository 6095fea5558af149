"""Killing any one process during a run: the rest recovers, or says why it cannot. Nothing hangs, nothing is left."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from federation import appears, ended, follow, left_of, small_federation, start_run
from flip_demo.processes import Process
from flip_hub.federation.schemas import RunDetail, RunStatus

APP = Path(__file__).parents[1] / "apps" / "thermostat"


async def kill(process: Process, *words: str) -> None:
    """Kills the process with these words in its command line, the given one or one below it."""
    (await appears(lambda: process.child.pid, *words)).kill()


def in_round(number: int) -> Callable[[RunDetail], bool]:
    return lambda detail: detail.run.round >= number or ended(detail)


@pytest.mark.asyncio
async def test_a_run_goes_on_whichever_process_of_a_device_or_the_database_is_killed(folder: Path) -> None:
    federation = small_federation(folder)
    north, calls = federation.devices["north"], folder / "calls"
    victims = [
        (north, "flip-agent run"),
        (north, "flip_agent", "train"),
        (north, "worker_process"),
        (north, "flip_agent", "serve"),
        (federation.mongod, "mongod"),
    ]
    async with federation.running(lambda _: None):
        run = await start_run(federation, APP, num_server_rounds=len(victims) + 1, pause=0.5, calls=str(calls))
        for number, (process, *words) in enumerate(victims, start=1):
            await follow(federation, run.id, in_round(number))
            await kill(process, *words)
        detail = await follow(federation, run.id, ended)
        assert detail.run.status is RunStatus.FINISHED, detail.run.reason
        assert [each.round for each in detail.rounds] == list(range(1, len(victims) + 2))
        # Of the kills three met a device in training: only a call without a result may be made again.
        made = Counter(tuple(line.split()[:2]) for line in calls.read_text().splitlines())
        assert sum(count - 1 for count in made.values()) <= 3
        assert set(made.values()) <= {1, 2}
    assert left_of(folder) == []


@pytest.mark.asyncio
async def test_a_run_goes_on_whatever_is_killed_on_the_hub_and_the_next_one_works(folder: Path) -> None:
    federation = small_federation(folder)
    async with federation.running(lambda _: None):
        for words in (["federation.superlink_process"], ["flip-hub serve"], ["aggregator.launcher"]):
            run = await start_run(federation, APP, num_server_rounds=3, pause=0.2)
            await follow(federation, run.id, in_round(1))
            await kill(federation.hub, *words)
            detail = await follow(federation, run.id, ended)
            assert (detail.run.status, len(detail.run.earlier)) == (RunStatus.FINISHED, 1), detail.run.reason
            assert [each.round for each in detail.rounds] == [1, 2, 3]
        run = await start_run(federation, APP, num_server_rounds=1)
        detail = await follow(federation, run.id, ended)
        assert detail.run.status is RunStatus.FINISHED, detail.run.reason
    assert left_of(folder) == []
