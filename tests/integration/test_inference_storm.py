"""Everything that can change beneath calls changes under eight clients: no call fails for it, none mixes versions."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from flip_agent.inference.engine.engine import Engine
from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.metrics.metrics import Metrics
from flip_agent.inference.problems import Unloaded
from flip_agent.models.store import ModelStore
from flip_demo.perceptron import expected, make_version
from flip_wire.models import Sha256

CLIENTS = 8
STEPS = 60
VERSIONS = (1, 2, 3)


@pytest.mark.asyncio
async def test_a_storm_of_swaps_rollbacks_sleeps_and_unloads(folder: Path) -> None:
    store = ModelStore(folder / "models")
    manifests = {version: make_version(store, "digits", version, seed=version) for version in VERSIONS}
    store.activate("digits", manifests[1])
    metrics = Metrics()
    models = ServedModels(store, max_rows=64, max_queue=64, executed=metrics.executed)
    await models.load()
    storm = Storm(models, metrics)
    try:
        async with asyncio.timeout(120), asyncio.TaskGroup() as group:
            clients = [group.create_task(storm.client(seed)) for seed in range(CLIENTS)]
            for step in range(STEPS):
                await change(models, manifests, step)
            for client in clients:
                client.cancel()
    finally:
        models.close()
    assert storm.versions == set(VERSIONS)
    assert storm.answered > STEPS
    (model,) = models.all
    assert model.swaps >= STEPS // 2
    assert model.rollbacks > 0
    assert sum(counts.answered for counts in metrics.of_versions.values()) >= storm.answered


async def change(models: ServedModels, manifests: dict[int, Sha256], step: int) -> None:
    version = step % len(manifests) + 1
    await models.prepare("digits", version, manifests[version])
    await models.activate("digits", version)
    (model,) = models.all
    match step % 4:
        case 0:
            model.sleep()
        case 1:
            await models.give_up("digits", manifests[version])
        case 2:
            await models.unload_model("digits")
            await models.load_model("digits")
        case _:
            pass


class Storm:
    def __init__(self, models: ServedModels, metrics: Metrics) -> None:
        self._engine = Engine(models, [metrics])
        self.versions: set[int] = set()
        self.answered = 0

    async def client(self, seed: int) -> None:
        draw = np.random.RandomState(seed)
        while True:
            rows = draw.rand(draw.randint(1, 5), 64).astype("f4")
            try:
                target = await self._engine.find("digits")
                (values,) = await self._engine.infer(target, [rows])
            except Unloaded:
                await asyncio.sleep(0.001)
                continue
            version = target.version.manifest.version
            assert np.allclose(values, expected(version, rows), atol=1e-5)
            self.versions.add(version)
            self.answered += 1
            await asyncio.sleep(0)
