"""Killing any one process during a run: the rest recovers, or says why it cannot. Nothing hangs."""

from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from federation import appears, ended, follow, left_of, small_federation, start_run
from flip_demo.federation import Federation
from flip_hub.federation.schemas import RunDetail, RunStatus

APP = Path(__file__).parent / "apps" / "thermostat"
ROUNDS = 4

Victim = Callable[[Federation], Awaitable[psutil.Process]]


def below(name: str, *words: str) -> Victim:
    """The process below the agent `north`, the hub or mongod, found by its command line."""

    async def find(federation: Federation) -> psutil.Process:
        roots = {"agent": federation.devices["north"], "hub": federation.hub, "mongod": federation.mongod}
        return await appears(lambda: roots[name].child.pid, *words)

    return find


def in_second_round(detail: RunDetail) -> bool:
    return detail.run.round >= 2


async def run_with_a_kill(federation: Federation, victim: Victim, calls: Path) -> RunDetail:
    run = await start_run(federation, APP, num_server_rounds=ROUNDS, pause=0.5, calls=str(calls))
    await follow(federation, run.id, in_second_round)
    (await victim(federation)).kill()
    return await follow(federation, run.id, ended)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "victim",
    [
        pytest.param(below("agent", "flip-agent run"), id="agent run"),
        pytest.param(below("agent", "flip_agent", "train"), id="agent train"),
        pytest.param(below("agent", "flip_agent", "serve"), id="agent serve"),
        pytest.param(below("agent", "worker_process"), id="worker"),
        pytest.param(below("mongod", "mongod"), id="mongod"),
    ],
)
async def test_the_run_goes_on_when_this_process_is_killed(folder: Path, victim: Victim) -> None:
    federation = small_federation(folder)
    async with federation.running(lambda _: None):
        detail = await run_with_a_kill(federation, victim, folder / "calls")
        assert detail.run.status is RunStatus.FINISHED, detail.run.reason
        assert [each.round for each in detail.rounds] == list(range(1, ROUNDS + 1))
    assert left_of(folder) == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("victim", "reason"),
    [
        pytest.param(below("hub", "flip-hub serve"), "SuperLink was restarted", id="hub"),
        pytest.param(below("hub", "flower-superlink"), "SuperLink was restarted", id="SuperLink"),
        pytest.param(below("hub", "flwr-serverapp"), "", id="ServerApp"),
    ],
)
async def test_the_run_ends_with_a_reason_and_the_next_one_works(folder: Path, victim: Victim, reason: str) -> None:
    federation = small_federation(folder)
    async with federation.running(lambda _: None):
        detail = await run_with_a_kill(federation, victim, folder / "calls")
        assert detail.run.status is RunStatus.FAILED
        assert reason in detail.run.reason
        assert detail.run.reason
        again = await start_run(federation, APP, num_server_rounds=1)
        assert (await follow(federation, again.id, ended)).run.status is RunStatus.FINISHED
    assert left_of(folder) == []


@pytest.mark.asyncio
async def test_a_device_killed_whole_in_mid_round_trains_nothing_twice(folder: Path) -> None:
    federation = small_federation(folder)
    async with federation.running(lambda _: None):
        detail = await run_with_a_kill(federation, below("agent", "flip-agent run"), folder / "calls")
        assert detail.run.status is RunStatus.FINISHED, detail.run.reason
        calls = Counter(tuple(line.split()[:2]) for line in (folder / "calls").read_text().splitlines())
        repeated = {each: count for each, count in calls.items() if count > 1}
        # The one call that the kill interrupted had no result yet, so it may be made again; no other.
        assert sum(count - 1 for count in repeated.values()) <= 1
        assert all(each.failures == [] for each in detail.rounds)
