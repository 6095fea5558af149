"""Secure aggregation over a real hub and real devices, one of which dies in every stage and comes back."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interrupted_run import SERVERAPP, DriftingRun, fleet
from msgspec.structs import replace
from numpy.typing import NDArray
from safetensors.numpy import load
from session_lab import Device, Hub, training
from stand_in import StandIn

from flip_agent.identity import load_identity
from flip_hub.federation.plan import Folding, Plan, RoundRules
from flip_hub.federation.secure.schemas import SecureAggregation
from flip_runtime.errors import Rejected
from flip_update.secagg.parameters import Parameters

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUNDS = 2
SECURE = SecureAggregation(most=4, clip=2.0, max_weight=20, dropout=0.25)
DEATHS = [f"{when}:ready" for when in ("before", "after")] * 6
"""In each of the six exchanges of two rounds: a life that ends before the answer is on the device's disk, and the next
one right after."""


def plan(devices: int = 4, **more: Any) -> Plan:
    return Plan(strategy="fedavg", options={"min_available_nodes": devices, "min_train_nodes": devices}, seed=7, **more)


def drifting(hub: Hub, folder: Path, plan: Plan) -> DriftingRun:
    return DriftingRun(hub, folder, plan, num_server_rounds=ROUNDS, devices=4)


async def weights(hub: Hub, run: DriftingRun) -> Mapping[int, NDArray[np.float32]]:
    """Of the version that each round made."""
    versions = await asyncio.to_thread(hub.api.versions, "drifting")
    made = [each for each in versions if each.manifest.run_id == run.id]
    found: dict[int, NDArray[np.float32]] = {}
    for each in made:
        content = await asyncio.to_thread(hub.api.file, "drifting", each.manifest.version, "weights.safetensors")
        found[each.manifest.round] = load(content)["0"]
    return found


async def test_a_device_that_dies_in_every_stage_is_in_the_mean_which_is_fedavgs(hub: Hub, folder: Path) -> None:
    others = [await Device.enrolled(hub, folder / name) for name in "abc"]
    mortal = await Device.enrolled(hub, folder / "mortal")
    plain, secure = drifting(hub, folder, plan()), drifting(hub, folder / "a", plan(secure=SECURE))
    async with training(*others), StandIn().at(mortal.settings.agent.run_socket, "run-1"):
        mortal.start()
        try:
            await plain.start()
            assert (await plain.ended()).status == "finished"
            mortal.kill()
            await secure.start()
            for moment in DEATHS:
                mortal.start(die=moment)
                assert await mortal.ended() < 0
            mortal.start()
            ended = await secure.ended()
        finally:
            mortal.kill()
    assert ended.status == "finished", ended.reason
    detail = await asyncio.to_thread(hub.api.run, secure.id)
    assert [(len(each.sampled), len(each.answered), each.failures) for each in detail.rounds] == [(4, 4, [])] * ROUNDS
    assert [each.train_metrics for each in detail.rounds] == [{"devices": 4.0, "clipped-devices": 0.0}] * ROUNDS
    assert [each.evaluate_metrics for each in detail.rounds] == [{}] * ROUNDS
    assert max(secure.calls().values()) == 2, "what was cut off was trained again, and nothing else"
    expected, found = await weights(hub, plain), await weights(hub, secure)
    bound = Parameters.checked(devices=4, length=1000, clip=2.0, max_weight=20).error_bound(4, 4 * 10)
    for number, allowed in ((1, bound), (2, 3 * bound)):  # what a device makes of two models is twice as far apart
        assert np.abs(found[number] - expected[number]).max() <= allowed + 1e-6, number


async def test_a_device_that_has_shared_and_dies_is_left_out_when_the_deadline_is_over(hub: Hub, folder: Path) -> None:
    others = [await Device.enrolled(hub, folder / name) for name in "pqrs"]
    mortal = await Device.enrolled(hub, folder / "mortal")
    secure = plan(5, secure=replace(SECURE, most=5), rounds=RoundRules(deadline=20.0))
    run = DriftingRun(hub, folder, secure, num_server_rounds=1, devices=5)
    async with training(*others), StandIn().at(mortal.settings.agent.run_socket, "run-1"):
        await run.start()
        try:
            for moment in ("after:ready", "after:ready", "before:ready"):  # the third: what it has trained
                mortal.start(die=moment)
                assert await mortal.ended() < 0
            ended = await run.ended()
        finally:
            mortal.kill()
    assert ended.status == "finished", ended.reason
    (found,) = (await asyncio.to_thread(hub.api.run, run.id)).rounds
    assert (len(found.sampled), len(found.answered), found.void) == (5, 4, "")
    assert found.train_metrics == {"devices": 4.0, "clipped-devices": 0.0}
    assert len(await run.weights()) == 1


async def test_a_device_with_a_larger_minimum_of_its_own_takes_no_part_and_the_hub_says_why(
    hub: Hub, folder: Path
) -> None:
    others = [await Device.enrolled(hub, folder / name) for name in "klm"]
    careful = await Device.enrolled(hub, folder / "careful", secure_least=4)
    run = DriftingRun(hub, folder, plan(secure=SECURE), num_server_rounds=1, devices=4)
    async with training(*others, careful):
        await run.start()
        ended = await run.ended()
    assert ended.status == "finished", ended.reason
    (found,) = (await asyncio.to_thread(hub.api.run, run.id)).rounds
    assert (len(found.sampled), found.void, found.train_metrics["devices"]) == (4, "", 3.0)
    (failure,) = found.failures
    known = load_identity(careful.settings.agent.state)
    assert known is not None
    assert failure.device_id == known.device_id
    assert "the sum may be of 3 devices, and federation.secure_least of this device is 4" in failure.reason
    assert len(run.calls()) == 3, "nor did it train"


async def test_a_round_whose_serverapp_dies_is_begun_anew(hub: Hub, folder: Path) -> None:
    async with fleet(hub, folder, ["e", "f", "g", "h"]):
        run = DriftingRun(hub, folder, plan(secure=SECURE), num_server_rounds=ROUNDS, devices=4, seconds=1.0)
        await run.start()
        for number in (1, 2):
            await run.reaches(number)
            await run.kill(SERVERAPP)
        ended = await run.ended()
    assert (ended.status, ended.round, len(ended.earlier)) == ("finished", ROUNDS, 2)
    assert len(await run.weights()) == ROUNDS
    detail = await asyncio.to_thread(hub.api.run, run.id)
    assert [each.void for each in detail.rounds] == ["", ""]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"folding": Folding()}, r"plan\.folding: a late contribution has masks"),
        (
            {"secure": SecureAggregation(most=1000, max_weight=10**6)},
            r"plan\.secure\.max_weight: ",
        ),
    ],
)
async def test_what_it_cannot_serve_is_refused_before_the_run_starts(
    hub: Hub, folder: Path, options: Mapping[str, Any], why: str
) -> None:
    chosen: dict[str, Any] = {"secure": SECURE, **options}
    with pytest.raises(Rejected, match=why):
        await drifting(hub, folder, plan(**chosen)).start()
