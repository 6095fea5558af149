"""Local parts are served on the device that has trained them, which says so; whatever is wrong with them it answers."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import pytest_asyncio
from test_inference_swap import answers_as, prepare, swap
from tritonclient import grpc as triton

from fake_run import FakeRun
from flip_agent.feedback.judgement import Labelled
from flip_agent.inference.engine.engine import Engine
from flip_agent.inference.engine.own_parts import with_own_parts
from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.guard.comparison import Copies, SpareThread
from flip_agent.inference.guard.objections import Limits
from flip_agent.inference.guard.trial import Trial
from flip_agent.local.messages import Serving
from flip_agent.models.store import ModelStore
from flip_agent.own_parts import OwnPartsFolder
from flip_demo.perceptron import expected, make_version, weights
from flip_wire.models import LocalParts, Sha256
from inference_process import Client, ServeProcess, infer_body, outputs
from own_heads import HEAD, head, leave, personal

ROWS = np.random.RandomState(5).rand(2, 64).astype("f4")
INFER, METADATA = "/v2/models/digits/infer", "/v2/models/digits"
OWN = 9
"""What the device's own head is drawn from; versions are drawn from their number."""

pytestmark = pytest.mark.asyncio


def version(
    store: ModelStore, number: int, run_id: str = "run-1", *, local: Sequence[str] = HEAD, **changes: Any
) -> Sha256:
    return make_version(store, "digits", number, seed=number, run_id=run_id, local=list(local), **changes)


def answers_own(client: Client, number: int, own: int = OWN) -> bool:
    return np.allclose(outputs(client.post(INFER, infer_body(ROWS))), personal(number, own, ROWS), atol=1e-5)


def own(number: int) -> LocalParts:
    return LocalParts(served="own", run_id="run-1", round=number, trained_at=50.0)


def told(client: Client) -> LocalParts:
    return msgspec.convert(client.get(METADATA).body["local_parts"], LocalParts)


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.05)


@pytest.fixture
def process(folder: Path, port: int) -> ServeProcess:
    process = ServeProcess(folder, port)
    process.store.activate("digits", version(process.store, 1))
    return process


@pytest_asyncio.fixture
async def run(process: ServeProcess) -> AsyncGenerator[FakeRun]:
    async with FakeRun().listening(process.socket) as run:
        yield run


async def test_a_device_that_has_trained_answers_with_its_own_head_and_says_of_which_round(
    process: ServeProcess, run: FakeRun
) -> None:
    leave(process.state, {**head(OWN), "2.counter": np.array(3)})  # the graph needs no counter
    async with process.running() as client:
        assert answers_own(client, 1)
        assert told(client) == own(3)
        heard = (await run.hears(Serving)).local
        assert heard == own(3)


async def test_one_that_has_trained_nothing_serves_the_versions_and_says_so_until_it_has(
    process: ServeProcess, run: FakeRun
) -> None:
    async with process.running() as client:
        assert answers_as(client, seed=1)
        assert told(client) == LocalParts(served="untrained", run_id="run-1")
        assert (await run.hears(Serving)).local == LocalParts(served="untrained", run_id="run-1")
        leave(process.state, head(OWN))
        await eventually(lambda: answers_own(client, 1))
        await eventually(lambda: [each for each in run.heard if isinstance(each, Serving)][-1].local == own(3))
        leave(process.state, head(7), number=4)
        await eventually(lambda: answers_own(client, 1, own=7))
        await eventually(lambda: [each for each in run.heard if isinstance(each, Serving)][-1].local == own(4))
    async with process.running() as client:
        assert answers_own(client, 1, own=7)


async def test_a_new_version_of_the_run_gets_the_same_head_and_one_of_another_run_does_not(
    process: ServeProcess, run: FakeRun
) -> None:
    leave(process.state, head(OWN))
    second, third = version(process.store, 2), version(process.store, 3, run_id="run-3")
    async with process.running() as client:
        await swap(run, 2, second)
        assert answers_own(client, 2)
        await swap(run, 3, third)
        assert answers_as(client, seed=3)
        assert told(client) == LocalParts(served="untrained", run_id="run-3")
        earlier = client.get(f"{METADATA}/versions/2").body["local_parts"]
        assert earlier["served"] == "own"
        await swap(run, 2, second)
        assert answers_own(client, 2)


async def test_a_version_without_local_parts_knows_of_none(process: ServeProcess, run: FakeRun) -> None:
    leave(process.state, head(OWN))
    async with process.running() as client:
        await swap(run, 2, version(process.store, 2, local=[]))
        assert answers_as(client, seed=2)
        assert "local_parts" not in client.get(METADATA).body
        await swap(run, 3, version(process.store, 3, local=["2.running_mean"]))  # which the graph does not take
        assert answers_as(client, seed=3)
        assert "local_parts" not in client.get(METADATA).body


async def test_what_a_version_does_not_call_local_is_never_replaced(process: ServeProcess, run: FakeRun) -> None:
    leave(process.state, weights(OWN))
    async with process.running() as client:
        assert answers_own(client, 1)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({**head(OWN), "2.bias": np.zeros(11, "f4")}, "weights '2.bias' are float32 [11], the graph has shape [10]"),
        ({**head(OWN), "2.bias": np.zeros(10, "f8")}, "weights '2.bias' are float64 [10]"),
        ({"2.weight": head(OWN)["2.weight"]}, "own parts lack tensor '2.bias'"),
        ({**head(OWN), "2.bias": np.full(10, np.nan, "f4")}, "own '2.bias' has entries that are not finite"),
        ({**head(OWN), "2.weight": np.full((10, 32), 3e38, "f4")}, "output 'y' is not finite"),
    ],
    ids=["shape", "dtype", "missing", "nan", "overflow"],
)
async def test_own_parts_that_do_not_fit_are_left_out_with_a_reason_until_others_come(
    process: ServeProcess, run: FakeRun, arrays: dict[str, Any], reason: str
) -> None:
    leave(process.state, arrays)
    async with process.running() as client:
        assert answers_as(client, seed=1)
        said = told(client)
        assert said.served == "refused"
        assert reason in said.reason
        assert (await run.hears(Serving)).local is not None
        leave(process.state, head(OWN))
        await eventually(lambda: answers_own(client, 1))


async def test_a_file_that_the_disk_has_damaged_is_left_out(process: ServeProcess, run: FakeRun) -> None:
    path = leave(process.state, head(OWN))
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    async with process.running() as client:
        assert answers_as(client, seed=1)
        assert "damaged on its disk" in told(client).reason
        path.write_bytes(b"")
        await eventually(lambda: "cannot be read" in told(client).reason)
        path.unlink()
        await eventually(lambda: told(client).served == "untrained")
        assert answers_as(client, seed=1)


async def test_a_version_whose_own_weights_fail_its_probe_is_refused_whatever_the_device_has(
    process: ServeProcess, run: FakeRun
) -> None:
    leave(process.state, head(OWN))
    probe = process.store.manifest(version(process.store, 2)).probe
    async with process.running() as client:
        assert "is off by" in await prepare(run, 3, version(process.store, 3, probe=probe))
        assert answers_own(client, 1)


async def test_a_damaged_version_in_memory_goes_on_when_new_parts_come(process: ServeProcess, run: FakeRun) -> None:
    leave(process.state, head(OWN))
    async with process.running() as client:
        blob = process.store.blob(process.store.manifest(version(process.store, 1)).weights.sha256)
        blob.write_bytes(b"damaged")
        leave(process.state, head(7), number=4)
        await eventually(lambda: "own parts wait" in process.log.read_text())
        assert answers_own(client, 1)
        assert told(client).round == 3


async def test_grpc_clients_get_the_same_answers(folder: Path, port: int) -> None:
    process = ServeProcess(folder, port, grpc=True)
    process.store.activate("digits", version(process.store, 1))
    leave(process.state, head(OWN))
    async with process.running():
        client: Any = triton.InferenceServerClient(f"127.0.0.1:{port + 1000}")
        await eventually(lambda: _live(client))
        tensor: Any = triton.InferInput("x", [2, 64], "FP32")
        tensor.set_data_from_numpy(ROWS)
        found = await asyncio.to_thread(client.infer, "digits", [tensor])
        assert np.allclose(found.as_numpy("y"), personal(1, OWN, ROWS), atol=1e-5)
        assert (await asyncio.to_thread(client.get_model_metadata, "digits")).versions == ["1"]
        client.close()


def _live(client: Any) -> bool:
    try:
        return client.is_server_live()
    except triton.InferenceServerException:
        return False


# ---- in this process ------------------------------------------------------------------------------------------------


class Device:
    """Version 1, without local parts, answers."""

    def __init__(self, models: ServedModels, store: ModelStore, state: Path) -> None:
        self.models = models
        self.store = store
        self.state = state
        self.rows = np.random.RandomState(2).rand(40, 64).astype("f4")

    async def labelled(self, model: str, limit: int) -> Labelled:
        """Whoever has the own head on the body of version 2 is right about all of them."""
        return Labelled(inputs={"x": self.rows}, labels=personal(2, OWN, self.rows).argmax(axis=1))

    async def tried(self) -> str:
        """The reason why version 2 must not answer."""
        await self.models.prepare("digits", 2, version(self.store, 2))
        limits = Limits(judged_by=10, max_error_rate=0.1, max_slowdown=0.0, min_agreement=0.0, min_accuracy=0.9)
        spare = SpareThread()
        try:
            return (await Trial(self.models, Copies(), spare, self, limits, shadow=0, within=1).run("digits", 2)).reason
        finally:
            spare.close()


@asynccontextmanager
async def a_device(folder: Path) -> AsyncGenerator[Device]:
    store, files = ModelStore(folder / "models"), OwnPartsFolder(folder / "parts")
    store.activate("digits", version(store, 1, local=[]))
    models = ServedModels(store, max_rows=64, max_queue=16, own=lambda made: with_own_parts(store, files, made))
    await models.load()
    try:
        yield Device(models, store, folder)
    finally:
        models.close()


async def test_a_trial_judges_what_will_really_answer(folder: Path) -> None:
    async with a_device(folder) as device:
        assert "answers whose truth is known" in await device.tried(), "with the version's head"
    leave(folder, head(OWN))
    async with a_device(folder) as device:
        assert await device.tried() == ""


async def test_a_model_that_slept_wakes_with_the_newest_parts(folder: Path) -> None:
    leave(folder, head(7), number=1)
    async with a_device(folder) as device:
        await device.models.prepare("digits", 2, version(device.store, 2))
        await device.models.activate("digits", 2)
        model = device.models.all[0]
        since = model.active.since if model.active else 0.0
        model.sleep()
        leave(folder, head(OWN), number=2)
        engine = Engine(device.models, [])
        answer = (await engine.infer(await engine.find("digits"), [ROWS]))[0]
        assert np.allclose(answer, personal(2, OWN, ROWS), atol=1e-5)
        assert model.active is not None
        assert model.active.local is not None
        assert (model.active.local.round, model.active.since) == (2, since)
        assert not np.allclose(answer, expected(2, ROWS), atol=1e-5)
