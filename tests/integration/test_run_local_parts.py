"""Heads that stay on their devices: a whole run of real processes, trained, kept through kills, never sent, served."""

import asyncio
import contextlib
import signal
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import safetensors.numpy
import session_lab
from agent_rig import Agent, eventually
from fault_proxy import FaultProxy, Message
from numpy.typing import NDArray
from session_lab import APPS, Hub, fab_of, reach

from federation import process
from flip_agent.models.command import ask_models, render_models
from flip_agent.own_parts import FOLDER, OwnPartsFolder
from flip_demo.ports import free_port
from flip_hub.federation.plan import Plan
from flip_hub.federation.schemas import RunRequest
from flip_wire.models import WEIGHTS, LocalParts, Manifest
from inference_process import Client, infer_body, outputs

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUNDS = 3
STEPS = {"north": 0.7310586, "south": -1.3132617}
"""What each device adds to its head in a round."""
ROWS = np.random.RandomState(3).rand(3, 4).astype("f4")

Arrays = dict[str, NDArray[Any]]


class Tap(FaultProxy):
    """A way to the gateway without faults that keeps all that devices send."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub.settings, free_port(), [])
        self.sent = bytearray()

    async def _ask(self, scope: Message, body: bytes) -> httpx.Response:
        self.sent += body
        return await super()._ask(scope, body)


class Device:
    def __init__(self, folder: Path, name: str) -> None:
        (folder / name).mkdir()
        self.name, self.step, self.port = name, STEPS[name], free_port()
        self.agent = Agent(folder / name, supervise=True, heartbeat=1.0)
        self.agent.configure("governor", settle=0.1, every=0.1, load_max=0)
        self.agent.configure("inference", port=self.port, grpc=False)
        self.agent.configure("models", watch=0)
        self.agent.configure("federation.node_config", step=self.step)

    def answer(self) -> tuple[int, NDArray[Any]] | None:
        """The version that answers, and what; None while there is none."""
        try:
            with contextlib.closing(Client(self.port)) as client:
                answer = client.post("/v2/models/personal/infer", infer_body(ROWS))
        except OSError:
            return None
        return (int(answer.body["model_version"]), outputs(answer)) if answer.status == 200 else None

    def local(self) -> LocalParts | None:
        """As `run` says."""
        status = self.agent.status()
        return status.reported.serving[0].local if status and status.reported.serving else None


def head(initial: Arrays, step: float, after: int) -> Arrays:
    """After so many trainings, each of which added the step once."""
    found = {name: array for name, array in initial.items() if name.startswith("head.")}
    for _ in range(after):
        found = {name: np.asarray(array + step, np.float32) for name, array in found.items()}
    return found


def computed(weights: Arrays) -> NDArray[Any]:
    hidden = np.maximum(ROWS @ weights["body.weight"].T + weights["body.bias"], 0)
    return hidden @ weights["head.weight"].T + weights["head.bias"]


def traces(arrays: Arrays, content: bytes) -> list[str]:
    """Names of the arrays of which two neighbouring entries or more are in the content."""
    return [
        name
        for name, array in arrays.items()
        if any(pair.tobytes() in content for pair in np.lib.stride_tricks.sliding_window_view(array.ravel(), 2))
    ]


async def test_heads_never_leave_survive_a_kill_and_answer_on_their_own_devices(hub: Hub, folder: Path) -> None:
    tap, devices = Tap(hub), [Device(folder, name) for name in STEPS]
    for device in devices:
        await hub.enrol(device.agent.state, device.name)
        reach(device.agent.state, tap.address)
    async with tap.running():
        with running(devices) as runs:
            run_id = await started(hub, folder, devices=len(devices))
            assert (await hub.finished(run_id)).run.status == "finished"
            assert all((folder / str(device.step)).exists() for device in devices), "each session was killed once"
            made = await versions_of(hub, run_id)
            numbers = {each.round: each.version for each in made}
            weights = {number: await fetched(hub, version) for number, version in numbers.items()}
            assert all(each.local == ["head.*"] for each in made)
            hub_has_no_head(bytes(tap.sent) + kept_by(hub), devices, weights)

            await promoted(hub, numbers[ROUNDS])
            for device in devices:
                await answers(device, numbers[ROUNDS], weights[ROUNDS])
                await says(device, run_id)
            await promoted(hub, numbers[1])  # another version of the run, with the same head
            for device in devices:
                await answers(device, numbers[1], weights[1])
            for device, run in zip(devices, runs, strict=True):
                await killed(process(run.pid, "flip_agent", "serve"))
                await answers(device, numbers[1], weights[1])
            await eventually(lambda: told(hub, run_id) == [ROUNDS, ROUNDS], within=60)
        with running(devices):  # of `run`, too, all processes were killed
            for device in devices:
                await answers(device, numbers[1], weights[1])


@pytest.mark.parametrize("moment", ["before:ready", "after:ready"])
async def test_what_is_left_for_serve_is_that_of_the_last_training_whenever_the_session_dies(
    hub: Hub, folder: Path, moment: str
) -> None:
    step = STEPS["north"]
    device = await session_lab.Device.enrolled(hub, folder / "device", node_config={"step": step})
    parts = OwnPartsFolder(device.settings.agent.state / FOLDER)
    (folder / str(step)).touch()  # the app kills nobody
    async with session_lab.training(device, die=moment):
        run_id = await started(hub, folder, devices=1)
        assert await device.ended() == -signal.SIGKILL
    left = parts.read(run_id)
    assert left is not None, "before the reply is on the disk"
    assert left.round == 1
    async with session_lab.training(device):
        assert (await hub.finished(run_id)).run.status == "finished"
    kept = parts.read(run_id)
    assert kept is not None
    assert kept.round == ROUNDS
    (first,) = [each for each in await versions_of(hub, run_id) if each.round == 1]
    wanted = head(await fetched(hub, first.version), step, ROUNDS)
    assert {name: array.tobytes() for name, array in kept.arrays.items()} == {
        name: array.tobytes() for name, array in wanted.items()
    }


@contextlib.contextmanager
def running(devices: Sequence[Device]) -> Generator[list[Popen[bytes]]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(device.agent.running()) for device in devices]


async def started(hub: Hub, folder: Path, devices: int) -> str:
    """The run's id."""
    uploaded = await asyncio.to_thread(hub.api.upload_app, fab_of(APPS / "personal"))
    config: dict[str, bool | int | float | str] = {
        "num-server-rounds": ROUNDS,
        "min-devices": devices,
        "killed": str(folder),
    }
    request = RunRequest(fab_hash=uploaded.fab_hash, config=config, plan=Plan(local=["head.*"]))
    return (await asyncio.to_thread(hub.api.start_run, request)).id


def hub_has_no_head(sent: bytes, devices: Sequence[Device], weights: Mapping[int, Arrays]) -> None:
    """In all that devices have sent in training, in all that it keeps, and in the versions made of it."""
    assert set(traces(weights[1], sent)) >= {"body.weight", "body.bias"}, "the body is there to be seen"
    for device in devices:
        for after in range(1, ROUNDS + 1):
            assert traces(head(weights[1], device.step, after), sent) == []
    for name in ("head.weight", "head.bias"):
        assert all(np.array_equal(each[name], weights[1][name]) for each in weights.values())


def kept_by(hub: Hub) -> bytes:
    """In its files, those of the SuperLink and of the ServerApp among them."""
    content = b""
    for path in hub.settings.hub.state.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # of a journal, for example, that ends meanwhile
            content += path.read_bytes() if path.is_file() else b""
    return content


async def versions_of(hub: Hub, run_id: str) -> list[Manifest]:
    made = await asyncio.to_thread(hub.api.versions, "personal")
    return [each.manifest for each in made if each.manifest.run_id == run_id]


async def fetched(hub: Hub, version: int) -> Arrays:
    return safetensors.numpy.load(await asyncio.to_thread(hub.api.file, "personal", version, WEIGHTS))


async def promoted(hub: Hub, version: int) -> None:
    await asyncio.to_thread(hub.api.promote, "personal", version)


async def answers(device: Device, version: int, weights: Arrays) -> None:
    """With that version's body and the head after all of the device's trainings."""
    wanted = computed({**weights, **head(weights, device.step, ROUNDS)})
    async with asyncio.timeout(90):
        while (found := await asyncio.to_thread(device.answer)) is None or found[0] != version:
            await asyncio.sleep(0.1)
    assert np.allclose(found[1], wanted, atol=1e-4), device.name


async def says(device: Device, run_id: str) -> None:
    """`run`, once it has heard it of `serve`."""
    await eventually(lambda: (local := device.local()) and local.served == "own", within=60)
    own = device.local()
    assert own is not None
    assert (own.run_id, own.round) == (run_id, ROUNDS)
    listed = render_models(await asyncio.to_thread(ask_models, device.agent.run_socket))
    assert f"local parts: this device's own, of round {ROUNDS} of {run_id}" in listed


def told(hub: Hub, run_id: str) -> list[int]:
    """Of what rounds the heads are that the hub knows to be served."""
    reported = [device.reported for device in hub.api.devices() if device.reported]
    served = [each.local for state in reported for each in state.serving if each.local is not None]
    return [local.round for local in served if (local.served, local.run_id) == ("own", run_id)]


async def killed(victim: psutil.Process) -> None:
    def gone() -> bool:
        try:
            return victim.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    victim.kill()
    await eventually(gone)
