"""Models that nobody asks for give their memory back, and are there again for the next call."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from flip_agent.inference.engine.engine import Engine
from flip_agent.inference.engine.served_model import Version
from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.engine.waking import rest
from flip_agent.inference.problems import NotReady, Unknown, Unloaded
from flip_agent.models.store import ModelStore
from flip_demo.perceptron import expected, make_version
from flip_wire.models import Sha256
from inference_process import Client, ServeProcess, infer_body, outputs

ROWS = np.random.RandomState(5).rand(1, 64).astype("f4")
LARGE = (2048, 2048, 10)
"""16 MiB of weights."""

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def served(store: ModelStore) -> AsyncGenerator[ServedModels]:
    models = ServedModels(store, max_rows=64, max_queue=16)
    await models.load()
    try:
        yield models
    finally:
        models.close()


@pytest.fixture
def store(folder: Path) -> ModelStore:
    store = ModelStore(folder / "models")
    for version in (1, 2):
        store.activate("digits", make_version(store, "digits", version, seed=version))
    return store


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Sha256]:
    """The manifests of all versions that are loaded from now on."""
    opened: list[Sha256] = []
    open_version = Version.open

    def counted(store: ModelStore, model: str, sha256: Sha256) -> Version:
        opened.append(sha256)
        return open_version(store, model, sha256)

    monkeypatch.setattr(Version, "open", counted)
    return opened


async def answer(models: ServedModels, version: str | None = None) -> np.ndarray:
    engine = Engine(models, [])
    target = await engine.find("digits", version)
    return (await engine.infer(target, [ROWS]))[0]


async def test_an_unused_model_gives_its_memory_back_and_the_next_call_waits_for_it(
    folder: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = ServeProcess(folder, port, keep_alive=1.5)
    process.store.activate("digits", make_version(process.store, "digits", 1, seed=1, sizes=LARGE))
    rows = np.random.RandomState(5).rand(1, 2048).astype("f4")
    body = infer_body(rows)
    async with process.running() as client:
        assert client.post("/v2/models/digits/infer", body).status == 200
        awake = metric(client, "process_resident_memory_bytes")
        async with asyncio.timeout(60):
            while metric(client, 'flip_inference_loaded{model="digits",version="1"}'):
                await asyncio.sleep(0.1)
        assert awake - metric(client, "process_resident_memory_bytes") > 12 * 2**20
        assert client.get("/v2/health/ready").status == 200
        assert client.get("/v2/models/digits/ready").status == 200
        answered = client.post("/v2/models/digits/infer", body)
        assert np.allclose(outputs(answered), expected(1, rows, LARGE), atol=1e-3)


def metric(client: Client, name: str) -> float:
    text = client.exchange("GET", "/metrics", None, {}).content.decode()
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


async def test_calls_that_come_together_share_one_load(store: ModelStore, loads: list[Sha256]) -> None:
    async with served(store) as models:
        models.all[0].sleep()
        loads.clear()
        answers = await asyncio.gather(*(answer(models) for _ in range(10)))
        assert len(loads) == 1
        assert all(np.allclose(each, expected(2, ROWS), atol=1e-5) for each in answers)
        assert np.allclose(await answer(models, "1"), expected(1, ROWS), atol=1e-5)
        assert len(loads) == 2


async def test_a_version_that_cannot_be_woken_gives_way_to_the_one_before_and_people_are_told(
    store: ModelStore,
) -> None:
    async with served(store) as models:
        (model,) = models.all
        model.sleep()
        spoil(store, store.active("digits"))
        assert np.allclose(await answer(models), expected(1, ROWS), atol=1e-5)
        assert models.alarms.get_nowait().code == "model-refused"
        model.sleep()
        spoil(store, store.previous("digits"))
        refusals = await asyncio.gather(*(answer(models) for _ in range(3)), return_exceptions=True)
        assert [str(each) for each in refusals if isinstance(each, NotReady)] == [str(refusals[0])] * 3
        assert "cannot be loaded: model file" in str(refusals[0])
        assert models.alarms.qsize() == 1
        models.check_ready()


def spoil(store: ModelStore, manifest: Sha256 | None) -> None:
    assert manifest is not None
    weights = store.blob(store.manifest(manifest).weights.sha256)
    weights.write_bytes(weights.read_bytes()[:-1])


async def test_a_model_that_was_unloaded_stays_so_until_it_is_loaded_or_another_version_takes_over(
    store: ModelStore,
) -> None:
    third = make_version(store, "digits", 3, seed=3)
    async with served(store) as models:
        await models.unload_model("digits")
        assert [(state.version, state.ready, state.reason) for state in models.states()] == [
            (2, False, "unloaded"),
            (1, False, "unloaded"),
        ]
        with pytest.raises(Unloaded):
            await answer(models)
        await models.load_model("digits")
        assert np.allclose(await answer(models), expected(2, ROWS), atol=1e-5)
        await models.unload_model("digits")
        await models.prepare("digits", 3, third)
        await models.activate("digits", 3)
        assert np.allclose(await answer(models), expected(3, ROWS), atol=1e-5)
        assert np.allclose(await answer(models, "2"), expected(2, ROWS), atol=1e-5)
        with pytest.raises(Unknown):
            await models.load_model("letters")


async def test_a_model_that_is_asked_for_does_not_sleep(store: ModelStore, loads: list[Sha256]) -> None:
    async with served(store) as models:
        loads.clear()
        resting = asyncio.create_task(rest(lambda: models.all, 2.0))
        async with asyncio.timeout(60):
            began = asyncio.get_running_loop().time()
            while asyncio.get_running_loop().time() - began < 3.0:
                await answer(models)
                await asyncio.sleep(0.01)
        assert loads == []
        async with asyncio.timeout(60):
            while models.all[0].awake:
                await asyncio.sleep(0.05)
        resting.cancel()
