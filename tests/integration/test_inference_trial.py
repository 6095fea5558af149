"""A prepared version is compared with the one that answers, on known samples and on copies of live calls."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from msgspec.structs import replace

from bad_versions import FAILS_FROM, make_failing
from flip_agent.feedback.judgement import Labelled
from flip_agent.inference.engine.engine import Engine
from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.guard.comparison import Copies, SpareThread, agreeing_rows
from flip_agent.inference.guard.objections import Limits
from flip_agent.inference.guard.trial import Result, Trial
from flip_agent.models.store import ModelStore
from flip_demo.perceptron import expected, make_version
from flip_wire.models import Sha256

LIMITS = Limits(judged_by=10, max_error_rate=0.1, max_slowdown=0.0, min_agreement=0.9, min_accuracy=0.0)
DRAW = np.random.RandomState(5)

pytestmark = pytest.mark.asyncio


class Device:
    """Version 1 of `digits` answers."""

    def __init__(self, models: ServedModels, store: ModelStore) -> None:
        self.models = models
        self.store = store
        self.copies = Copies()
        self.spare = SpareThread()
        self.engine = Engine(models, [self.copies])
        self.rows = DRAW.rand(40, 64).astype("f4")
        self.offset = np.float32(0)
        """Of the values in live calls."""
        self.truth = expected(1, self.rows).argmax(axis=1)

    async def labelled(self, model: str, limit: int) -> Labelled:
        """As the sample store gives them."""
        return Labelled(inputs={"x": self.rows}, labels=self.truth)

    async def tried(self, manifest: Sha256, limits: Limits = LIMITS, *, shadow: int = 10, within: float = 60) -> Result:
        """Of version 2, while there are calls."""
        await self.models.prepare("digits", 2, manifest)
        trial = Trial(self.models, self.copies, self.spare, self, limits, shadow=shadow, within=within)
        calls = asyncio.create_task(self._calls())
        try:
            return await trial.run("digits", 2)
        finally:
            calls.cancel()
            assert self.models.all[0].active is not None
            assert self.models.all[0].active.manifest.version == 1

    async def _calls(self) -> None:
        while True:
            await self.engine.infer(await self.engine.find("digits"), [DRAW.rand(4, 64).astype("f4") + self.offset])
            await asyncio.sleep(0.001)


@pytest_asyncio.fixture
async def device(folder: Path) -> AsyncGenerator[Device]:
    store = ModelStore(folder / "models")
    store.activate("digits", make_version(store, "digits", 1, seed=1))
    models = ServedModels(store, max_rows=64, max_queue=16)
    await models.load()
    device = Device(models, store)
    yield device
    device.spare.close()
    models.close()


async def test_one_that_answers_live_calls_otherwise_is_refused(device: Device) -> None:
    result = await device.tried(make_version(device.store, "digits", 2, seed=2))
    assert "rows as the version before, models.min_agreement is 0.9" in result.reason


async def test_one_that_answers_alike_passes(device: Device) -> None:
    result = await device.tried(make_version(device.store, "digits", 2, seed=1))
    assert result == Result(reason="", detail="0 of 0 samples right, 40 of 40 live rows alike")


async def test_one_that_cannot_compute_live_calls_is_refused(device: Device) -> None:
    device.offset = np.float32(FAILS_FROM)
    result = await device.tried(make_failing(device.store, "digits", 2, seed=1))
    assert "cannot compute 10 of 10 live calls" in result.reason


async def test_one_that_is_wrong_about_known_samples_is_refused_without_traffic(device: Device) -> None:
    limits = replace(LIMITS, min_accuracy=0.8)
    result = await device.tried(make_version(device.store, "digits", 2, seed=2), limits, shadow=0)
    assert "answers whose truth is known, models.min_accuracy is 0.8" in result.reason
    passed = await device.tried(make_version(device.store, "digits", 2, seed=1), limits, shadow=0)
    assert passed.reason == ""
    assert passed.detail.startswith("40 of 40 samples right")


async def test_a_device_where_too_little_is_seen_in_time_takes_it(device: Device) -> None:
    device.copies = Copies()  # that hear of no call
    result = await device.tried(make_version(device.store, "digits", 2, seed=2), within=0.2)
    assert result.reason == ""


async def test_what_takes_other_inputs_cannot_be_compared_and_passes(device: Device) -> None:
    other = make_version(device.store, "digits", 2, seed=2, sizes=(32, 16, 10))
    assert (await device.tried(other)).reason == ""


async def test_rows_agree_by_class_or_by_numbers_that_are_about_the_same() -> None:
    scores = np.array([[0.1, 0.9], [0.8, 0.2]], dtype="f4")
    assert agreeing_rows(scores, scores[:, ::-1], classes=True) == 0
    assert agreeing_rows(scores, scores * 3, classes=True) == 2
    numbers = np.array([[100.0], [200.0], [np.nan]])
    assert agreeing_rows(numbers, numbers * 1.05, classes=False) == 3
    assert agreeing_rows(numbers, numbers * 1.5, classes=False) == 1  # what is no number agrees with itself
    assert agreeing_rows(numbers, numbers[:2], classes=False) == 0
