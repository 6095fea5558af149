"""What a server tells of its versions' answers."""

from pathlib import Path

import numpy as np
import pytest

from flip_agent.feedback.accounts import Lost
from flip_agent.inference.engine.engine import Engine
from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.metrics.latency import Latencies
from flip_agent.inference.metrics.metrics import Metrics
from flip_agent.inference.metrics.traffic import TrafficCount
from flip_agent.models.store import ModelStore
from flip_demo.perceptron import make_version


@pytest.mark.asyncio
async def test_a_version_that_was_given_up_and_comes_back_counts_anew(folder: Path) -> None:
    """Else a rollout that tries it again would judge it by what it did before."""
    store = ModelStore(folder / "models")
    made = {version: make_version(store, "digits", version, seed=version) for version in (1, 2)}
    for sha256 in made.values():
        store.activate("digits", sha256)
    models, metrics = ServedModels(store, max_rows=64, max_queue=16), Metrics()
    engine, traffic = Engine(models, [metrics]), TrafficCount("default", models, metrics, Latencies(), Lost)

    def told() -> dict[int, int]:
        """Answers by version."""
        news = traffic.news()
        return {} if news is None else {each.version: each.requests for each in news.models}

    try:
        await models.load()
        for _ in range(3):
            await engine.infer(await engine.find("digits"), [np.zeros((1, 64), np.float32)])
        assert told() == {2: 3, 1: 0}
        await models.give_up("digits", made[2])
        await engine.infer(await engine.find("digits"), [np.zeros((1, 64), np.float32)])
        assert told() == {1: 1}
        await models.prepare("digits", 2, made[2])
        await models.activate("digits", 2)
        assert told() == {2: 0, 1: 1}
    finally:
        models.close()
