"""Rollouts over two real devices, `flip-agent run` and `serve` each: a real hub, versions that can be computed."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import numpy as np
import pytest
from device_rig import ROWS, DeviceRig
from msgspec.structs import replace
from rollout_fleet import RolloutHub, running_rollouts

from flip_agent.models.store import ModelStore
from flip_demo.perceptron import expected, manifest
from flip_demo.ports import free_port
from flip_hub.devices.schemas import DevicePatch
from flip_hub.rollouts.schemas import Rollout, RolloutStatus
from flip_hub.settings import RolloutsSection
from inference_process import Client

pytestmark = pytest.mark.asyncio
WITHIN = 120.0
LAB, EVERYBODY = {"name": "lab", "tags": ["lab"], "soak": 0}, {"name": "everybody", "soak": 0}
SLOW = {**LAB, "soak": 3600}
GOOD, UNPROVEN, BETTER, WRONG, DISLIKED = 1, 2, 3, 4, 5
"""Versions, and what their weights are drawn from."""


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def device(hub: RolloutHub, folder: Path, name: str, *tags: str) -> AsyncGenerator[DeviceRig]:
    """It serves what is promoted."""
    rig = DeviceRig(folder / name, free_port(), heartbeat=1)
    token = await hub.hub.enrolment_token()
    done = await asyncio.to_thread(rig.agent.call, "enrol", hub.hub.url, "--token", token, "--name", name)
    assert done.returncode == 0, done.stderr
    (made,) = [each for each in await hub.hub.core.devices.list() if each.name == name]
    await hub.hub.core.devices.patch(made.id, DevicePatch(tags=list(tags)))
    with rig.serving(), rig.agent.running():
        await until(lambda: rig.answered_by() == GOOD)
        yield rig


async def register(hub: RolloutHub, folder: Path) -> None:
    """What `UNPROVEN` answers is not what its probe says."""
    store = ModelStore(folder / "made")
    store.create()
    for number in (GOOD, UNPROVEN, BETTER, WRONG, DISLIKED):
        made = manifest(store, "digits", number, seed=number)
        for file in made.files:
            await hub.artifacts.put(store.blob(file.sha256).read_bytes())
        if number == UNPROVEN:
            assert made.probe is not None
            spoiled = [replace(each, data=[value + 1 for value in each.data]) for each in made.probe.outputs]
            made = replace(made, probe=replace(made.probe, outputs=spoiled))
        assert (await hub.parts.models.register(replace(made, run_id=f"run-{number}"))).version == number


def tell_truth(rig: DeviceRig, times: int) -> None:
    """Of so many predictions, by the weights of `BETTER`."""
    labels = expected(BETTER, ROWS).argmax(axis=1)
    assert not np.array_equal(labels, expected(WRONG, ROWS).argmax(axis=1))
    with contextlib.closing(Client(rig.port)) as client:
        for _ in range(times):
            for row, label in zip(ROWS, labels, strict=True):
                asked = client.post("/predict", {"inputs": [row.tolist()]}).body["id"]
                while not client.post("/v1/feedback", {"id": asked, "label": int(label)}).body["accepted"]:
                    time.sleep(0.05)  # predictions are on the disk within a second


async def test_real_devices_refuse_take_and_give_back_versions_and_the_fleet_follows(
    folder: Path, mongo_url: str
) -> None:
    async with running_rollouts(folder, mongo_url, RolloutsSection(interval=0.2), heartbeat=1.0) as hub:
        await register(hub, folder)
        await hub.parts.models.promote("digits", GOOD)
        watching = asyncio.create_task(hub.parts.watch.run())
        try:
            async with device(hub, folder, "one", "lab") as lab, device(hub, folder, "two") as other:

                async def ends(rollout: Rollout) -> Rollout:
                    async with asyncio.timeout(WITHIN):
                        while (told := await hub.rollout(rollout)).active:
                            await asyncio.sleep(0.1)
                    return told

                async def both_answer(version: int) -> None:
                    await until(lambda: (lab.answered_by(), other.answered_by()) == (version, version))

                refused = await ends(await hub.start(UNPROVEN, LAB, EVERYBODY))
                assert refused.status is RolloutStatus.ROLLED_BACK
                assert "1 of 1 devices refused it" in refused.reason
                await both_answer(GOOD)

                assert (await ends(await hub.start(BETTER, LAB, EVERYBODY))).status is RolloutStatus.DONE
                await both_answer(BETTER)

                wrong = await hub.start(WRONG, SLOW, EVERYBODY, gates={"accuracy": 0.8, "judged_by": 8})
                await until(lambda: lab.answered_by() == WRONG)
                await asyncio.to_thread(tell_truth, lab, 4)
                taken_back = await ends(wrong)
                assert "accuracy: " in taken_back.reason
                assert taken_back.figures.judged == 8
                await both_answer(BETTER)

                disliked = await hub.start(DISLIKED, SLOW, EVERYBODY)
                await until(lambda: lab.answered_by() == DISLIKED)
                done = await asyncio.to_thread(lab.models_command, "rollback", "--reason", "smells wrong")
                assert done.returncode == 0, done.stderr
                assert "1 of 1 devices went back from it" in (await ends(disliked)).reason
                await both_answer(BETTER)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
