"""Whatever is killed at the hub in the midst of a round: the run goes on by itself, to the same weights, to the bit."""

from pathlib import Path

import pytest
from interrupted_run import HUB, SERVERAPP, SUPERLINK, DriftingRun, fleet
from session_lab import Hub

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUNDS = 4


async def test_a_run_whose_serverapp_superlink_and_hub_are_killed_ends_as_if_nothing_had_happened(
    hub: Hub, folder: Path
) -> None:
    async with fleet(hub, folder, ["a", "b", "c"]):
        whole = DriftingRun(hub, folder, num_server_rounds=ROUNDS)
        cut = DriftingRun(hub, folder / "a", num_server_rounds=ROUNDS, seconds=1.0)
        await whole.start()
        assert (await whole.ended()).status == "finished"
        await cut.start()
        for number, what in enumerate([SERVERAPP, SUPERLINK, HUB], start=1):
            await cut.reaches(number)
            await cut.kill(what)
        run = await cut.ended()
    assert (run.status, run.round, len(run.earlier)) == ("finished", ROUNDS, 3)
    assert set(cut.calls().values()) == {1}, "a device did a round twice"
    assert len(cut.calls()) == len(whole.calls()) == 2 * 3 * ROUNDS
    assert await cut.weights() == await whole.weights()
