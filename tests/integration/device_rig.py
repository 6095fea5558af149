"""A whole device without training: real `flip-agent run` and `flip-agent serve` processes, versions that can be loaded,
and requests that never stop."""

import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from agent_rig import Agent, until
from fake_hub import FakeHub

from flip_agent.local.messages import KeptModel
from flip_agent.models.command import ask_models
from flip_agent.models.store import ModelStore
from flip_demo.perceptron import expected, manifest
from flip_runtime.errors import Unavailable
from flip_wire.models import Manifest, ModelAssignment
from inference_process import Client, infer_body, outputs

ROWS = np.random.RandomState(3).rand(2, 64).astype("f4")


def perceptron(hub: FakeHub, version: int) -> Manifest:
    """Of a version whose files the hub has, and whose weights are drawn from its number."""
    with tempfile.TemporaryDirectory() as folder:
        store = ModelStore(Path(folder))
        store.create()
        made = manifest(store, "digits", version, seed=version)
        for file in made.files:
            hub.keep(store.blob(file.sha256).read_bytes())
    return made


def assigned(hub: FakeHub, version: int) -> ModelAssignment:
    return hub.assign(perceptron(hub, version))


class DeviceRig:
    def __init__(self, folder: Path, port: int, **agent: object) -> None:
        """`agent`: of the section `[agent]`."""
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port = port
        self.agent = Agent(folder, **agent)
        self.agent.configure("inference", port=port, grpc=False)
        self.models = self.agent.state / "models"

    @contextmanager
    def serving(self) -> Generator[subprocess.Popen[bytes]]:
        """A `flip-agent serve` of its own, killed at the end; what it says is in `serve.log`."""
        with (self.folder / "serve.log").open("ab") as log:
            process = subprocess.Popen(self.agent.command("serve"), stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def kept(self) -> KeptModel | None:
        """As `run` says; None while it is away, or has nothing."""
        try:
            models = ask_models(self.agent.run_socket)
        except Unavailable:
            return None
        return models[0] if models else None

    def answered_by(self) -> int | None:
        """The version that answers now, its answer checked; None while `serve` has none or is away."""
        try:
            with contextlib.closing(Client(self.port)) as client:
                answer = client.post("/v2/models/digits/infer", infer_body(ROWS))
        except OSError:
            return None
        if answer.status != 200:
            return None
        version = int(answer.body["model_version"])
        assert np.allclose(outputs(answer), expected(version, ROWS), atol=1e-4)
        return version

    def models_command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flip_agent", "models", *arguments, "--config", str(self.agent.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)


class Traffic(threading.Thread):
    """Requests one after the other; each answer must be right for the version that it names."""

    def __init__(self, device: DeviceRig) -> None:
        super().__init__(daemon=True)
        self.versions: set[int] = set()
        self.answers = 0
        self.failed = 0
        self._device = device
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.02):
            version = self._device.answered_by()
            if version is None:
                self.failed += 1
            else:
                self.answers += 1
                self.versions.add(version)

    @contextmanager
    def flowing(self) -> Generator["Traffic"]:
        self.start()
        try:
            until(lambda: self.answers, within=60)
            yield self
        finally:
            self._over.set()
            self.join(timeout=60)
