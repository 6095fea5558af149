"""Somebody's own Flower app, from a folder outside FLIP to a model served on the devices, by the command line alone."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
import pytest_asyncio
from safetensors.numpy import load

from federation import ended, flip_hub, follow, small_federation, start_run
from flip_demo import breast_cancer
from flip_demo.federation import Federation

pytestmark = pytest.mark.asyncio(loop_scope="module")

APPS = Path(__file__).parents[1] / "apps"
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def federation() -> AsyncGenerator[Federation]:
    """One for all the apps, as on any other day."""
    with TemporaryDirectory(prefix="flip-") as folder:
        federation = small_federation(Path(folder))
        for name, part in zip(federation.devices, patients(federation).devices, strict=True):
            np.savez(federation.layout.device_data(name), x=part.x, y=part.y)
        async with federation.running(lambda _: None):
            yield federation


def patients(federation: Federation) -> breast_cancer.Split:
    return breast_cancer.split(0, len(federation.devices))


async def test_an_app_that_names_an_export_is_trained_and_served_on_every_device(
    federation: Federation, folder: Path
) -> None:
    app = folder / "elsewhere" / "thermostat"
    shutil.copytree(APPS / "thermostat", app)
    password = ["--password-file", str(federation.layout.password)]
    await flip_hub(folder, "login", federation.url, "--username", "admin", *password)
    said = await flip_hub(folder, "runs", "start", str(app), "--config", "num-server-rounds=2", "--follow")
    assert "finished" in said
    versions = await asyncio.to_thread(federation.api.versions, "thermostat")
    (version,) = [each.version for each in versions if each.promoted]
    weights = load(await asyncio.to_thread(federation.api.file, "thermostat", version, "weights.safetensors"))

    readings = np.random.default_rng(7).normal(size=(5, 3)).astype(np.float32)
    expected = readings @ weights["weight"].T + weights["bias"]
    for url in federation.inference_urls:
        answer = await _served(url, "thermostat", version, readings)
        assert np.allclose(np.array(answer["outputs"]), expected, atol=1e-4)
        assert set(answer["labels"]) <= {"cold", "warm"}


async def test_the_example_of_an_ordinary_app_is_trained_on_patients_and_served_well(federation: Federation) -> None:
    held_back = patients(federation).held_back
    run = await start_run(federation, EXAMPLES / "breast_cancer")
    detail = await follow(federation, run.id, ended)
    assert detail.run.promoted_version is not None, detail.run.reason
    for url in federation.inference_urls:
        answer = await _served(url, "breast-cancer", detail.run.promoted_version, held_back.x[:60])
        right = np.array(answer["outputs"]).argmax(axis=1) == held_back.y[:60]
        assert right.mean() >= 0.9
        assert set(answer["labels"]) == {"malignant", "benign"}


async def test_a_stock_app_runs_and_its_versions_are_kept_but_not_deployable(federation: Federation) -> None:
    run = await start_run(federation, APPS / "stock")
    assert "weights only" in run.warning
    detail = await follow(federation, run.id, ended)
    assert (detail.run.status, detail.run.reason) == ("finished", "")
    assert [(each.round, each.failures) for each in detail.rounds] == [(1, []), (2, [])]
    versions = await asyncio.to_thread(federation.api.versions, "stock-app")
    assert [(each.version, each.deployable, each.promoted) for each in versions] == [
        (2, False, False),
        (1, False, False),
    ]
    assert load(await asyncio.to_thread(federation.api.file, "stock-app", 2, "weights.safetensors"))


async def _served(url: str, model: str, version: int, rows: Any) -> dict[str, Any]:
    """Waits until the device answers with that version."""
    async with httpx.AsyncClient(base_url=url) as client, asyncio.timeout(60):
        while True:
            response = await client.post(f"/predict/{model}", content=msgspec.json.encode({"inputs": rows.tolist()}))
            if response.is_success and response.json()["version"] == version:
                return response.json()
            await asyncio.sleep(0.1)
