"""In each of twenty rounds the ServerApp, the SuperLink or the hub is killed: it ends as if nothing had happened."""

from collections.abc import AsyncGenerator
from itertools import cycle
from pathlib import Path

import pytest
import pytest_asyncio

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
