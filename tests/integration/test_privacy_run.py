"""Private runs over a real hub and real devices: priced, refused past their budget, paid for once when they die."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from interrupted_run import SERVERAPP, DriftingRun, fleet
from msgspec.structs import replace
from session_lab import Hub

from flip_hub.federation.plan import Plan, Start
from flip_hub.federation.privacy.schemas import DeviceAdaptive, HubFixed, Local, Privacy
from flip_hub.federation.schemas import Run
from flip_runtime.errors import Rejected

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUNDS = 2
BUDGET: dict[str, Any] = {"budget": 7.0, "delta": 1e-5}
FIXED = HubFixed(noise_multiplier=1.0, clipping_norm=5.0, **BUDGET)


def private(hub: Hub, folder: Path, privacy: Privacy, **config: Any) -> DriftingRun:
    return DriftingRun(hub, folder, Plan(privacy=privacy), num_server_rounds=ROUNDS, devices=2, **config)


def spent(run: Run) -> tuple[str, float, int]:
    assert run.privacy is not None
    return run.status, round(run.privacy.epsilon, 2), sum(each.times for each in run.privacy.releases)


async def test_a_private_run_pays_for_its_rounds_once_and_asks_for_no_metrics(hub: Hub, folder: Path) -> None:
    async with fleet(hub, folder, ["a", "b"]):
        run = private(hub, folder, FIXED, seconds=1.0)
        await run.start()
        price = (await asyncio.to_thread(hub.api.run, run.id)).run.privacy
        assert price is not None
        assert price.planned == pytest.approx(6.573, abs=1e-3)
        await run.reaches(2)
        await run.kill(SERVERAPP)
        assert spent(await run.ended()) == ("finished", 6.57, ROUNDS)
        assert {call.split()[0] for call in run.calls()} == {"train"}
        assert set(run.calls().values()) == {1}, "a device did a round twice"
        assert len(await run.weights()) == ROUNDS

        past = DriftingRun(hub, folder, Plan(privacy=FIXED), num_server_rounds=3, devices=2)
        with pytest.raises(Rejected, match=r"plan\.privacy\.budget: 3 rounds cost epsilon 8\.\d+"):
            await past.start()
        onward = Plan(privacy=FIXED, start=Start(run_id=run.id))
        with pytest.raises(Rejected, match=r"1 round costs epsilon 8\.\d+ .*\(6\.573 is spent already\)"):
            await DriftingRun(hub, folder, onward, num_server_rounds=3, devices=2).start()
        roomier = Plan(privacy=replace(FIXED, budget=9.0), start=Start(run_id=run.id))
        again = DriftingRun(hub, folder / "b", roomier, num_server_rounds=3, devices=2)
        await again.start()
        onwards = await again.ended()
        assert spent(onwards) == ("finished", 8.39, ROUNDS + 1), onwards.reason


async def test_devices_clip_and_hide_their_updates_themselves(hub: Hub, folder: Path) -> None:
    adaptive = DeviceAdaptive(noise_multiplier=1.0, clipping_norm=0.5, clipped_count_stddev=2.0, **BUDGET)
    local = Local(clipping_norm=1.0, message_epsilon=2.0, message_delta=1e-5, **BUDGET)
    async with fleet(hub, folder, ["c", "d"]):
        for privacy, epsilon, where in ((adaptive, 6.57, "c"), (local, 2.37, "d")):
            run = private(hub, folder / where, privacy)
            await run.start()
            ended = await run.ended()
            assert spent(ended) == ("finished", pytest.approx(epsilon, abs=0.01), ROUNDS), ended.reason
            detail = await asyncio.to_thread(hub.api.run, run.id)
            assert [failure.reason for each in detail.rounds for failure in each.failures] == []
            assert all(each.answered for each in detail.rounds)
