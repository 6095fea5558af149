"""In each round the ServerApp, the SuperLink or the hub is killed: the run ends as if nothing had happened."""

from collections.abc import AsyncGenerator
from itertools import cycle
from pathlib import Path

import pytest
import pytest_asyncio

from flip_hub.federation.plan import Plan
from integration.interrupted_run import HUB, SERVERAPP, SUPERLINK, DriftingRun, fleet
from integration.session_lab import Hub

pytestmark = pytest.mark.asyncio

ROUNDS = 20
DEVICES = ["a", "b", "c"]


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[Hub]:
    hub = Hub(folder / "hub", mongo_url)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()


async def test_a_run_of_twenty_rounds_outlives_a_kill_in_each_of_them_to_the_bit(hub: Hub, folder: Path) -> None:
    async with fleet(hub, folder, DEVICES):
        whole = DriftingRun(hub, folder, num_server_rounds=ROUNDS)
        cut = DriftingRun(hub, folder / "a", num_server_rounds=ROUNDS, seconds=0.5)
        await whole.start()
        assert (await whole.ended()).status == "finished"
        await cut.start()
        for number, what in zip(range(1, ROUNDS + 1), cycle([SERVERAPP, SUPERLINK, HUB]), strict=False):
            await cut.reaches(number)
            await cut.kill(what)
        run = await cut.ended()
    assert (run.status, run.round, len(run.earlier)) == ("finished", ROUNDS, ROUNDS)
    assert set(cut.calls().values()) == {1}, "a device did a round twice"
    assert len(cut.calls()) == len(whole.calls()) == 2 * len(DEVICES) * ROUNDS
    assert await cut.weights() == await whole.weights()


async def test_a_run_without_rounds_outlives_a_kill_in_each_step_to_the_bit(hub: Hub, folder: Path) -> None:
    """Each step is made of the updates of all devices, so that when they come changes nothing."""
    plan = Plan(seed=7, strategy="fedbuff", options={"buffer_size": 3, "evaluate_every": 0})
    async with fleet(hub, folder, DEVICES):
        whole = DriftingRun(hub, folder, plan, num_server_rounds=4)
        cut = DriftingRun(hub, folder / "a", plan, num_server_rounds=4, seconds=0.5)
        await whole.start()
        assert (await whole.ended()).status == "finished"
        await cut.start()
        for number, what in enumerate([SERVERAPP, SUPERLINK, HUB], start=1):
            await cut.reaches(number)
            await cut.kill(what)
        run = await cut.ended()
    assert (run.status, run.round, len(run.earlier)) == ("finished", 4, 3)
    trained = {call: count for call, count in cut.calls().items() if call.startswith("train ")}
    assert set(trained.values()) == {1}, "a device did a step twice"
    assert len(trained) == len(DEVICES) * 4
    assert await cut.weights() == await whole.weights()
