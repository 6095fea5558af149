"""A reply that came after the ServerApp that waited for it had died is folded into the run that goes on, once."""

import asyncio
import signal
from pathlib import Path

import pytest
from interrupted_run import SERVERAPP, DriftingRun, fleet
from session_lab import Device, Hub, training

from flip_hub.contributions.schemas import Contribution
from flip_hub.federation.checkpoint import read_taken
from flip_hub.federation.plan import Folding, Plan, RoundRules
from flip_wire.contributions import Fate

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUNDS = 18


async def test_a_late_reply_that_the_hub_keeps_is_folded_once_into_the_run_that_goes_on(hub: Hub, folder: Path) -> None:
    plan = Plan(seed=7, rounds=RoundRules(deadline=8.0), folding=Folding(rounds=ROUNDS))
    run = DriftingRun(hub, folder, plan, num_server_rounds=ROUNDS, devices=2, seconds=2.0)
    slow = await Device.enrolled(hub, folder / "slow")
    async with training(slow, die="after:ready"), fleet(hub, folder, ["a"]):
        await run.start()  # with both: another device might take its place in the first training
        assert await slow.ended() == -signal.SIGKILL
        async with fleet(hub, folder, ["b"]):
            await run.reaches(2)
            await run.kill(SERVERAPP)
            slow.start()
            folded = await kept_and_counted(hub, run)
            await run.kill(SERVERAPP)
            assert (await run.ended()).status == "finished"
    assert (folded.round, folded.phase) == (1, "train")
    contributions = await asyncio.to_thread(hub.api.contributions, run.id)
    assert [each.fate for each in contributions if each.message_id == folded.message_id] == [Fate.ACCEPTED]
    trained = (hub.settings.hub.state / "runs" / run.id).glob("*-trained.checkpoint")
    holding = [path.name for path in trained if folded.message_id in read_taken(path)]
    assert holding == [f"1-{folded.taken:06}-trained.checkpoint"], "it is in the training of one round, which is told"
    entries = await asyncio.to_thread(hub.api.receipts, run.id)
    assert sum(entry.message_id == folded.message_id for entry in entries) == 1


async def kept_and_counted(hub: Hub, run: DriftingRun) -> Contribution:
    async with asyncio.timeout(200):
        while True:
            for each in await asyncio.to_thread(hub.api.contributions, run.id):
                if each.kept_late and each.taken > each.round:
                    return each
            await asyncio.sleep(0.2)
