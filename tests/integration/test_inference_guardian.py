"""Which version the guard goes back to, and which it leaves alone."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from agent_rig import eventually

from flip_agent.inference.engine.engine import Engine
from flip_agent.inference.engine.own_parts import with_own_parts
from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.guard.comparison import Copies, SpareThread
from flip_agent.inference.guard.guardian import Guardian
from flip_agent.inference.guard.objections import Limits
from flip_agent.inference.guard.verdicts import Verdict, Verdicts
from flip_agent.inference.metrics.metrics import Metrics
from flip_agent.models.store import ModelStore
from flip_agent.own_parts import OwnPartsFolder
from flip_demo.perceptron import make_version
from own_heads import HEAD, head, leave

LIMITS = Limits(judged_by=10, max_error_rate=1.0, max_slowdown=0.0, min_agreement=0.9, min_accuracy=0.8)

pytestmark = pytest.mark.asyncio


class Device:
    """Versions 1 and 2 of `digits` answer differently; 2 is active."""

    def __init__(self, folder: Path, models: ServedModels) -> None:
        self.models = models
        self.told: list[Verdict] = []
        self.outcomes: dict[int, list[bool]] = {}
        """By version, as they were before this process began."""
        self.asked: set[int] = set()
        """Versions whose earlier feedback the guard knows."""
        self.verdicts = Verdicts(folder / "serve")
        self.limits = LIMITS
        metrics, copies, self.spare = Metrics(), Copies(), SpareThread()
        self.engine = Engine(models, [metrics, copies])
        self.parts = (models, metrics, self.verdicts, copies, self.spare)

    async def recent_outcomes(self, model: str, version: int, limit: int) -> list[bool]:
        self.asked.add(version)
        return self.outcomes.get(version, [])

    @property
    def active(self) -> int:
        (model,) = self.models.all
        assert model.active is not None
        return model.active.manifest.version

    @asynccontextmanager
    async def guarded(self, watch: float = 600.0) -> AsyncGenerator[Guardian]:
        guardian = Guardian(*self.parts, self, self.limits, watch=watch, told=self._tell)
        task = asyncio.create_task(guardian.run())
        try:
            yield guardian
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def call(self, times: int) -> None:
        for _ in range(times):
            rows = np.random.RandomState(times).rand(2, 64).astype("f4")
            await self.engine.infer(await self.engine.find("digits"), [rows])
            await asyncio.sleep(0.002)

    async def _tell(self, verdict: Verdict) -> None:
        self.told.append(verdict)


@pytest_asyncio.fixture
async def device(folder: Path) -> AsyncGenerator[Device]:
    store = ModelStore(folder / "models")
    for version in (1, 2):
        store.activate("digits", make_version(store, "digits", version, seed=version))
    models = ServedModels(store, max_rows=64, max_queue=16)
    await models.load()
    device = Device(folder, models)
    yield device
    device.spare.close()
    models.close()


async def test_a_version_that_does_not_agree_with_the_one_before_is_given_up(device: Device) -> None:
    async with device.guarded():
        async with asyncio.timeout(60):
            while device.active == 2:
                await device.call(1)
        await eventually(lambda: device.told)
    assert "rows as the version before" in device.told[0].reason
    assert device.verdicts.condemned(device.told[0].manifest) == device.told[0].reason


async def test_after_a_person_went_back_the_guard_does_not_go_forward_again(device: Device) -> None:
    await device.models.activate("digits", 1)
    async with device.guarded() as guardian:
        await eventually(lambda: device.asked == {1, 2})
        for _ in range(20):
            guardian.judged("digits", 1, False)
        await device.call(30)
        await eventually(lambda: not device.models.alarms.empty() or device.told)
    assert (device.active, device.told) == (1, [])
    assert device.models.alarms.get_nowait().code == "model-suspect"


async def test_feedback_from_before_this_process_began_counts_with_what_comes(device: Device) -> None:
    device.outcomes[2] = [False] * 9
    async with device.guarded(watch=0.0) as guardian:
        await device.call(20)
        await eventually(lambda: device.asked == {1, 2})
        assert device.active == 2
        guardian.judged("digits", 2, False)
        await eventually(lambda: device.told)
    assert device.active == 1


async def test_a_version_is_kept_where_the_one_before_did_no_better(device: Device) -> None:
    device.outcomes = {1: [False] * 50, 2: [False] * 50}
    async with device.guarded(watch=0.0) as guardian:
        await eventually(lambda: device.asked == {1, 2})
        guardian.judged("digits", 2, False)
        await device.call(5)
    assert (device.active, device.told) == (2, [])


async def test_a_version_with_new_parts_of_the_device_s_own_is_watched_anew(folder: Path) -> None:
    store, files = ModelStore(folder / "models"), OwnPartsFolder(folder / "parts")
    for number, local in ((1, []), (2, HEAD)):
        made = make_version(store, "digits", number, seed=1, run_id="run-1", local=local)
        store.activate("digits", made)
    leave(folder, head(1))
    models = ServedModels(store, max_rows=64, max_queue=16, own=lambda version: with_own_parts(store, files, version))
    await models.load()
    device = Device(folder, models)
    async with device.guarded():
        await device.call(20)
        assert (device.active, device.told) == (2, [])
        leave(folder, head(9), number=4)
        models.all[0].woken(await models.opened("digits", made))
        async with asyncio.timeout(60):
            while device.active == 2:
                await device.call(1)
        await eventually(lambda: device.told)
    assert "rows as the version before" in device.told[0].reason
    device.spare.close()
    models.close()
