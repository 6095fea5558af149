"""Malicious artifacts through the whole path, from a hub that signs whatever it likes: each is refused with a reason,
nothing of them is executed, and the earlier version goes on answering."""

import pickle
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from agent_rig import until
from device_rig import DeviceRig, assigned, perceptron
from fake_hub import FakeHub, started
from msgspec.structs import replace

from flip_demo.perceptron import external, graph_model
from flip_wire.models import GRAPH, WEIGHTS, FileRef, Manifest, ModelAssignment, Sha256

WITHIN = 120.0


class Payload:
    """Whoever unpickles it makes the file."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._marker,))


def pickled(marker: Path) -> bytes:
    return pickle.dumps(Payload(marker))


def archive(marker: Path, *names: str) -> bytes:
    """As `torch.save`, `torch.jit.save` and `torch.export.save` write: a ZIP with pickles in it."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name in names:
            file.writestr(name, pickled(marker))
    return content.getvalue()


def graph_that_reads(path: str) -> bytes:
    """Its first weight lies in another file of the device."""
    model = graph_model()
    shape = list(model.graph.initializer[0].dims)
    model.graph.initializer[0].CopyFrom(external("another", shape, location=path))
    return model.SerializeToString()


def with_graph(hub: FakeHub, version: int, content: bytes) -> Manifest:
    file = FileRef(name=GRAPH, sha256=hub.keep(content), size=len(content))
    return replace(perceptron(hub, version), graph=file)


def with_weights(hub: FakeHub, version: int, content: bytes) -> Manifest:
    file = FileRef(name=WEIGHTS, sha256=hub.keep(content), size=len(content))
    return replace(perceptron(hub, version), weights=file)


def renamed(hub: FakeHub, version: int, name: str, content: bytes) -> Manifest:
    file = FileRef(name=name, sha256=hub.keep(content), size=len(content))
    return replace(perceptron(hub, version), graph=file)


def elsewhere(hub: FakeHub, version: int, name: str) -> Manifest:
    made = perceptron(hub, version)
    return replace(made, weights=replace(made.weights, sha256=Sha256(name)))


def exchanged(hub: FakeHub, version: int) -> ModelAssignment:
    wanted = assigned(hub, version)
    weights = hub.weights_of(wanted)
    hub.artifacts[weights] = bytes(len(hub.artifacts[weights]))
    return wanted


def signed_anew(hub: FakeHub, assignment: ModelAssignment) -> ModelAssignment:
    return replace(assignment, signatures=hub.signer.sign(assignment))


HOSTILE: list[tuple[str, str, Callable[[FakeHub, int, Path], Manifest | ModelAssignment]]] = [
    ("a .pt2 as graph", "no ONNX file", lambda h, v, m: with_graph(h, v, archive(m, "archive/models/model.json"))),
    ("a pickle as graph", "no ONNX file", lambda h, v, m: with_graph(h, v, pickled(m))),
    ("TorchScript as graph", "no ONNX file", lambda h, v, m: with_graph(h, v, archive(m, "m/data.pkl", "m/code/x.py"))),
    ("a pickle as weights", "no safetensors", lambda h, v, m: with_weights(h, v, pickled(m))),
    ("torch.save as weights", "no safetensors", lambda h, v, m: with_weights(h, v, archive(m, "archive/data.pkl"))),
    ("a file named .pt2", "names 'model.pt2'", lambda h, v, m: renamed(h, v, "model.pt2", archive(m, "x"))),
    ("a file named .pt", "names 'model.pt'", lambda h, v, m: renamed(h, v, "model.pt", archive(m, "x"))),
    ("data of another file", "lack tensor", lambda h, v, m: with_graph(h, v, graph_that_reads("/etc/passwd"))),
    ("data beside it", "lack tensor", lambda h, v, m: with_graph(h, v, graph_that_reads("../../../device.key"))),
    ("another path as hash", "no SHA-256", lambda h, v, m: elsewhere(h, v, "../../../device.key")),
    ("other content", "has hash", lambda h, v, m: exchanged(h, v)),
    (
        "a manifest that is too large",
        "the limit is 16777216",
        lambda h, v, m: signed_anew(h, replace(assigned(h, v), size=2**30)),
    ),
    (
        "a signature of another version",
        "not one over this version",
        lambda h, v, m: replace(assigned(h, v), signatures=assigned(h, v + 1).signatures),
    ),
    ("no signature", "nobody has signed", lambda h, v, m: replace(assigned(h, v), signatures={})),
]


@pytest.fixture
def device(folder: Path, port: int) -> DeviceRig:
    return DeviceRig(folder, port)


def test_malicious_artifacts_are_refused_and_never_executed(device: DeviceRig, folder: Path) -> None:
    hub, marker = FakeHub(), folder / "executed"
    with started(hub), device.serving() as serve, device.agent.running() as run:
        device.agent.enrol(hub)
        key = (device.agent.state / "device.key").read_bytes()
        hub.want(models=[assigned(hub, 1)])
        until(lambda: device.answered_by() == 1, WITHIN)
        for number, (name, reason, make) in enumerate(HOSTILE, 2):
            made = make(hub, number, marker)
            wanted = hub.assign(made) if isinstance(made, Manifest) else made
            hub.want(models=[wanted])
            until(lambda reason=reason: reason in refused(device), WITHIN)
            assert device.answered_by() == 1, name
        assert not marker.exists()
        assert (device.agent.state / "device.key").read_bytes() == key
        assert (run.poll(), serve.poll()) == (None, None)
        kept = device.kept()
        assert kept is not None
        assert (kept.active, kept.previous) == (1, None)
        hub.want(models=[assigned(hub, 99)])
        until(lambda: device.answered_by() == 99, WITHIN)
        assert msgspec.json.decode((device.models / "refused.json").read_bytes()) == {}


def refused(device: DeviceRig) -> str:
    status = device.agent.status()
    return "" if status is None else "; ".join(failure.reason for failure in status.reported.failures)
