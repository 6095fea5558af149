"""Unmodified Flower apps run under our launcher: two stock SuperNodes come through the gateway, the hub is told all."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime
import pytest
import pytest_asyncio
from flwr.cli.build import build_fab_from_disk
from safetensors.numpy import load

from flip_demo.ports import free_port
from flip_hub.federation.control import RunControl
from flip_hub.federation.gateway import Gateway
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.schemas import (
    MessagesPushed,
    ReplyReceived,
    RoundFinished,
    RunReport,
    StrategyStarted,
    VersionMade,
)
from flip_hub.federation.superlink import Superlink
from flip_hub.settings import Settings
from flip_runtime.child import Child
from integration.fleet_rig import NodeKey, Registry, hub_settings, running
from integration.recording_hub import RecordingHub, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

APPS = Path(__file__).parents[1] / "apps"
Kind = TypeVar("Kind")


class Federation:
    def __init__(self, settings: Settings) -> None:
        self.hub = RecordingHub()
        self.control = RunControl(f"127.0.0.1:{settings.superlink.port}")

    async def run(self, app: Path) -> list[RunReport]:
        """Runs the app to its end and gives what the hub was told."""
        run_id = await self.control.start(build_fab_from_disk(app), {})
        status = None
        with suppress(TimeoutError):
            async with asyncio.timeout(240):
                while not status or not status.finished:
                    await asyncio.sleep(0.5)
                    status = await self.control.status(run_id)
        assert status, "the SuperLink lost the run"
        assert status.sub_status == "completed", f"{status.details}\n{await self.control.log(run_id)}"
        return self.hub.reports[run_id]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def federation(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Federation]:
    folder = tmp_path_factory.mktemp("hub")
    settings = hub_settings(folder, fleet=free_port(), superlink=free_port(), api=free_port())
    federation, registry = Federation(settings), Registry()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(federation.hub, settings.hub.admin_socket))
        await stack.enter_async_context(running(Superlink(settings).run(), settings.superlink.port))
        gateway = Gateway(settings, registry, registry, Mailboxes(), registry)
        await stack.enter_async_context(running(gateway.run(), settings.fleet.port))
        for number in range(2):
            key = NodeKey()
            registry.enrol(key)
            await stack.enter_async_context(supernode(folder, settings, number, key))
        yield federation


async def test_a_stock_app_is_reported_step_by_step_and_makes_weights_only_versions(federation: Federation) -> None:
    reports = await federation.run(APPS / "stock")
    assert reports[0] == StrategyStarted(strategy="FedAvg", rounds=2, wants=2)
    pushed = of(MessagesPushed, reports)
    assert [(p.round, p.phase) for p in pushed] == [(1, "train"), (2, "train")]
    nodes = set(pushed[0].nodes)
    assert len(nodes) == 2
    assert all(set(p.nodes) == nodes for p in pushed)
    for number in (1, 2):
        answered = [reply for reply in of(ReplyReceived, reports) if reply.round == number]
        assert {reply.node for reply in answered} == nodes
        assert {(reply.phase, reply.error) for reply in answered} == {("train", "")}
    assert of(RoundFinished, reports) == [
        RoundFinished(round=n, train_metrics={"loss": 0.5}, evaluate_metrics={"hub-size": 1000}) for n in (1, 2)
    ]
    for number, made in enumerate(of(VersionMade, reports), start=1):
        assert (made.manifest.model, made.manifest.round, made.warning) == ("stock-app", number, "")
        assert not made.manifest.deployable
        assert made.manifest.metrics == {"hub-size": 1000}
        (weights,) = load(federation.hub.artifacts[made.manifest.weights.sha256]).values()
        assert float(weights.mean()) == number


async def test_an_exported_model_is_served_by_onnxruntime_as_its_probe_says(federation: Federation) -> None:
    reports = await federation.run(APPS / "exported")
    (finished,), (made,) = of(RoundFinished, reports), of(VersionMade, reports)
    assert finished.train_metrics == {"rate": 0.5}, "the app's own settings reach the devices"
    manifest = made.manifest
    assert (made.warning, manifest.deployable, manifest.model) == ("", True, "exported")
    assert manifest.labels == ["a", "b", "c"]
    assert manifest.inputs[0].shape == [-1, 1, 8, 8]
    assert manifest.graph
    assert manifest.probe
    graph = federation.hub.artifacts[manifest.graph.sha256]
    weights = load(federation.hub.artifacts[manifest.weights.sha256])
    assert float(weights["1.running_var"].mean()) == 0.5, "the devices' statistics, not the exporter's"
    options = onnxruntime.SessionOptions()
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(weight) for weight in weights.values()]
    options.add_external_initializers(list(weights), values)
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    given, expected = (
        np.array(t.data, t.dtype).reshape(t.shape) for t in (manifest.probe.inputs[0], manifest.probe.outputs[0])
    )
    (found,) = session.run(["y"], {"x": given})
    assert np.abs(np.asarray(found) - expected).max() <= manifest.probe.tolerance


def of(kind: type[Kind], reports: list[RunReport]) -> list[Kind]:
    return [report for report in reports if isinstance(report, kind)]


@asynccontextmanager
async def supernode(folder: Path, settings: Settings, number: int, key: NodeKey) -> AsyncGenerator[None]:
    """Flower's own, with a registered key, over TLS."""
    programs, key_file = Path(sys.executable).parent, folder / f"node-{number}.key"
    key_file.write_bytes(key.private_pem())
    command = [str(programs / "flower-supernode"), "--superlink", f"127.0.0.1:{settings.fleet.port}"]
    command += ["--root-certificates", str(folder / "ca.pem"), "--auth-supernode-private-key", str(key_file)]
    command += ["--port", str(free_port())]
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "FLWR_HOME": str(folder / f"node-{number}"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "OMP_NUM_THREADS": "1",
    }
    child = Child(f"supernode {number}", command, log_file=folder / f"node-{number}.log", environment=environment)
    await child.start()
    try:
        yield
    finally:
        await child.stop()
