"""Versions come and go under load: nothing fails, nothing mixes, and what does not pass its probe never answers."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import pytest_asyncio

from fake_run import FakeRun
from flip_agent.local.messages import Activate, Hello, Prepare, Prepared, Serving
from flip_demo.perceptron import expected, make_version
from flip_wire.models import Sha256
from inference_process import Client, ServeProcess, infer_body, outputs

ROWS = np.random.RandomState(5).rand(2, 64).astype("f4")
INFER = "/v2/models/digits/infer"

pytestmark = pytest.mark.asyncio


@pytest.fixture
def process(folder: Path, port: int) -> ServeProcess:
    process = ServeProcess(folder, port)
    process.store.activate("digits", make_version(process.store, "digits", 1, seed=1))
    return process


@pytest_asyncio.fixture
async def run(process: ServeProcess) -> AsyncGenerator[FakeRun]:
    async with FakeRun().listening(process.socket) as run:
        yield run


async def prepare(run: FakeRun, version: int, manifest: Sha256, model: str = "digits") -> str:
    answered = run.count(Prepared)
    await run.say(Prepare(model=model, version=version, manifest=manifest))
    prepared = await run.hears(Prepared, answered + 1)
    assert (prepared.model, prepared.version) == (model, version)
    return prepared.reason


async def swap(run: FakeRun, version: int, manifest: Sha256) -> None:
    assert await prepare(run, version, manifest) == ""
    answered = run.count(Serving)
    await run.say(Activate(model="digits", version=version))
    assert (await run.hears(Serving, answered + 1)).version == version


def answers_as(client: Client, seed: int, path: str = INFER) -> bool:
    return np.allclose(outputs(client.post(path, infer_body(ROWS))), expected(seed, ROWS), atol=1e-5)


async def test_it_introduces_itself(process: ServeProcess, run: FakeRun) -> None:
    async with process.running():
        assert (await run.hears(Hello)).role == "serve"
        assert (await run.hears(Serving)).version == 1


async def test_a_prepared_version_answers_once_activated_and_the_one_before_stays(
    process: ServeProcess, run: FakeRun
) -> None:
    second, third = (make_version(process.store, "digits", version, seed=version) for version in (2, 3))
    async with process.running() as client:
        assert await prepare(run, 2, second) == ""
        assert answers_as(client, seed=1)
        await swap(run, 2, second)
        assert answers_as(client, seed=2)
        assert answers_as(client, seed=1, path="/v2/models/digits/versions/1/infer")
        await swap(run, 3, third)
        assert answers_as(client, seed=3)
        assert client.get("/v2/models/digits").body["versions"] == ["3", "2"]
        assert client.post("/v2/models/digits/versions/1/infer", infer_body(ROWS)).status == 404
        await swap(run, 2, second)  # back to the one before, which is still there
        assert answers_as(client, seed=2)


async def test_a_first_model_arrives_while_it_runs(process: ServeProcess, run: FakeRun) -> None:
    letters = make_version(process.store, "letters", 1, seed=9)
    async with process.running() as client:
        assert await prepare(run, 1, letters, "letters") == ""
        await run.say(Activate(model="letters", version=1))
        await run.hears(Serving, 3)  # at first digits, now both
        assert answers_as(client, seed=9, path="/v2/models/letters/infer")


async def test_what_must_not_be_served_is_answered_with_a_reason_and_the_earlier_version_goes_on(
    process: ServeProcess, run: FakeRun
) -> None:
    store = process.store
    probe = store.manifest(make_version(store, "digits", 2, seed=2)).probe
    mismatch = make_version(store, "digits", 3, seed=3, probe=probe)
    damaged = make_version(store, "digits", 4, seed=4)
    weights = store.blob(store.manifest(damaged).weights.sha256)
    weights.write_bytes(weights.read_bytes()[:-4])
    cases = [
        (3, mismatch, "probe: output 'y' is off by"),
        (4, damaged, "has hash"),
        (5, Sha256("0" * 64), "has hash none"),
        (6, mismatch, "is off by"),
        (7, make_version(store, "digits", 1, seed=7), "is of version 1, not 7"),
        (8, make_version(store, "letters", 8, seed=8), "is of model 'letters', not digits"),
        (9, make_version(store, "digits", 9, seed=9, graph=None), "weights only"),
    ]
    async with process.running() as client:
        for version, manifest, reason in cases:
            assert reason in await prepare(run, version, manifest)
            refused = run.count(Prepared)
            await run.say(Activate(model="digits", version=version))
            assert "is not prepared" in (await run.hears(Prepared, refused + 1)).reason
            assert answers_as(client, seed=1)


async def test_swaps_under_load_fail_no_request_and_mix_no_versions(process: ServeProcess, run: FakeRun) -> None:
    manifests = {version: make_version(process.store, "digits", version, seed=version) for version in (1, 2, 3)}
    wanted = {str(version): expected(version, ROWS) for version in manifests}
    over = threading.Event()
    seen: set[str] = set()

    def load() -> int:
        client, count = Client(process.port), 0
        while not over.is_set():
            answer = client.post(INFER, infer_body(ROWS))
            values = outputs(answer)
            version = answer.body["model_version"]
            assert np.allclose(values, wanted[version], atol=1e-5)
            seen.add(version)
            count += 1
        client.close()
        return count

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(8) as threads:
        async with process.running():
            clients = [loop.run_in_executor(threads, load) for _ in range(8)]
            try:
                async with asyncio.timeout(60):
                    for step in range(15):
                        await swap(run, step % 3 + 1, manifests[step % 3 + 1])
            finally:
                over.set()
            counts = await asyncio.gather(*clients)
    assert min(counts) > 0
    assert seen == {"1", "2", "3"}


async def test_what_only_a_swap_needed_is_given_back_after_it(process: ServeProcess, run: FakeRun) -> None:
    sizes = (64, 16_384, 10)
    manifests = [make_version(process.store, "digits", version, seed=version, sizes=sizes) for version in (2, 3, 4)]
    async with process.running():
        assert (await run.hears(Serving)).version == 1
        for version, manifest in enumerate(manifests, start=2):
            await swap(run, version, manifest)
        swapped = memory(process)
        async with asyncio.timeout(60):
            while memory(process) > swapped - 4 * 2**20:
                await asyncio.sleep(0.2)


def memory(process: ServeProcess) -> int:
    """Bytes."""
    return psutil.Process(process.child.pid).memory_info().rss
