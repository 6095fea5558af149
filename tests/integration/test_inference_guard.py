"""A version whose probe is right and that does badly is given up by the device itself, for good, with nobody's help."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bad_versions import FAILS_FROM, make_failing, make_slow
from fake_run import FakeRun
from flip_agent.inference.guard.verdicts import Verdict
from flip_agent.local.messages import Activate, Emit, Prepare, Prepared, RollbackKept, RolledBack, Serving
from flip_demo.perceptron import expected, make_version
from flip_wire.health import Condition
from inference_process import Client, ServeProcess, infer_body

ROWS = np.random.RandomState(5).rand(1, 64).astype("f4")
TRUTH = int(expected(1, ROWS).argmax())
assert int(expected(2, ROWS).argmax()) != TRUTH
INFER = "/v2/models/digits/infer"

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {"judged_by": "10", "min_accuracy": "0.8"}.items():
        monkeypatch.setenv(f"FLIP_MODELS__{key.upper()}", value)


@pytest.fixture
def process(folder: Path, port: int) -> ServeProcess:
    """Version 1 is good; whatever a test makes version 2 has its place."""
    process = ServeProcess(folder, port)
    process.store.activate("digits", make_version(process.store, "digits", 1, seed=1))
    return process


@pytest.fixture
def bad(process: ServeProcess) -> str:
    """Version 2 answers wrongly, and is active; the hash of its manifest."""
    manifest = make_version(process.store, "digits", 2, seed=2)
    process.store.activate("digits", manifest)
    return manifest


def verdicts(process: ServeProcess) -> list[Verdict]:
    path = process.state / "serve" / "default" / "verdicts.json"
    return msgspec.json.decode(path.read_bytes(), type=list[Verdict]) if path.exists() else []


def version_of(client: Client) -> str:
    answer = client.post(INFER, infer_body(ROWS))
    assert answer.status == 200, answer.body
    return answer.body["model_version"]


def tell_truth(client: Client, times: int) -> None:
    """Of so many predictions."""
    ids = [client.post("/predict", {"inputs": ROWS.tolist()}).body["id"] for _ in range(times)]
    for each in ids:
        while not client.post("/v1/feedback", {"id": each, "label": TRUTH}).body["accepted"]:
            time.sleep(0.05)  # predictions are on the disk within a second


async def killed(process: ServeProcess) -> None:
    process.child.send_signal(signal.SIGKILL)
    await process.child.wait()


async def until(condition: Callable[[], bool], within: float = 60.0) -> None:
    async with asyncio.timeout(within):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.05)


async def test_answers_that_feedback_calls_wrong_end_a_version_with_hub_and_run_away_and_it_never_comes_back(
    process: ServeProcess, bad: str
) -> None:
    async with process.running() as client:
        assert version_of(client) == "2"
        await asyncio.to_thread(tell_truth, client, 10)
        await until(lambda: version_of(client) == "1")
        (verdict,) = verdicts(process)
        assert (verdict.version, verdict.to_version, verdict.manifest) == (2, 1, bad)
        assert "accuracy 0.00 on the newest 10" in verdict.reason
        assert client.post("/v2/models/digits/versions/2/infer", infer_body(ROWS)).status == 404
    assert process.store.active("digits") == bad  # `run`, which alone may change it, knows nothing yet
    async with process.running() as client:
        assert version_of(client) == "1"


async def test_feedback_from_before_a_kill_is_judged_after_it(process: ServeProcess, bad: str) -> None:
    async with process.running() as client:
        await asyncio.to_thread(tell_truth, client, 9)
        assert version_of(client) == "2"
        await killed(process)
    assert verdicts(process) == []
    async with process.running() as client:
        assert version_of(client) == "2"
        await asyncio.to_thread(tell_truth, client, 1)
        await until(lambda: version_of(client) == "1")


async def test_a_verdict_is_told_until_run_keeps_it_and_holds_through_kills_before_and_after(
    process: ServeProcess, bad: str
) -> None:
    process.store.create()
    async with FakeRun().listening(process.socket) as run:
        async with process.running() as client:
            await asyncio.to_thread(tell_truth, client, 10)
            told = await run.hears(RolledBack)
            assert (told.model, told.version, told.manifest, told.to_version) == ("digits", 2, bad, 1)
            assert version_of(client) == "1"
            await killed(process)
        async with process.running() as client:
            assert await run.hears(RolledBack, 2) == told
            assert version_of(client) == "1"
            await run.say(Prepare(model="digits", version=2, manifest=told.manifest))
            assert "rolled back: accuracy" in (await run.hears(Prepared)).reason
            process.store.activate("digits", process.store.previous("digits") or told.manifest)
            await run.say(RollbackKept(manifest=told.manifest))
            await until(lambda: verdicts(process) == [])
            await killed(process)
        async with process.running() as client:
            assert (await run.hears(Serving, 4)).version == 1
            assert version_of(client) == "1"
        assert run.count(RolledBack) == 2


async def test_a_version_that_cannot_compute_what_the_one_before_can_is_given_up(process: ServeProcess) -> None:
    process.store.activate("digits", make_failing(process.store, "digits", 2, seed=1))
    hard = infer_body(ROWS + np.float32(FAILS_FROM))
    async with process.running() as client:
        assert client.post(INFER, hard).status == 400
        await until(lambda: client.post(INFER, hard).status == 200)
        assert version_of(client) == "1"
    (verdict,) = verdicts(process)
    assert "it cannot compute 10 of 10 calls" in verdict.reason or "it cannot compute 1" in verdict.reason


async def test_a_slow_version_is_given_up(process: ServeProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIP_MODELS__MAX_SLOWDOWN", "1.2")
    slow = make_slow(process.store, "digits", 2, seed=1)
    async with FakeRun().listening(process.socket) as run, process.running() as client:
        for _ in range(10):
            assert version_of(client) == "1"
        await run.say(Prepare(model="digits", version=2, manifest=slow))
        assert (await run.hears(Prepared)).reason == ""
        await run.say(Activate(model="digits", version=2))
        assert (await run.hears(Serving, 2)).version == 2
        await until(lambda: version_of(client) == "1")
        assert "times the CPU" in (await run.hears(RolledBack)).reason


async def test_a_bad_version_without_one_before_it_goes_on_and_people_are_told_once(
    process: ServeProcess, folder: Path
) -> None:
    only = make_version(process.store, "letters", 1, seed=2)
    process.store.activate("letters", only)
    with contextlib.suppress(FileNotFoundError):
        (process.state / "models" / "digits" / "active").unlink()
    async with FakeRun().listening(process.socket) as run, process.running() as client:
        await asyncio.to_thread(tell_truth, client, 11)
        alert = msgspec.json.decode((await run.hears(Emit)).body, type=Condition)
        assert alert.code == "model-suspect"
        assert "there is no version before it" in alert.text
        assert client.post("/predict", {"inputs": ROWS.tolist()}).body["version"] == 1
        assert run.count(Emit) == 1
