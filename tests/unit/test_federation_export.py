"""On onnxruntime an exported model computes what its module does, with each round's own weights, or it says why not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.numpy import load
from torch import nn

from flip_hub.federation.aggregator.export import Exportable, Servable, load_export
from flip_hub.federation.aggregator.versions import Version, VersionMaker, model_name, read_project
from flip_runtime.errors import Rejected
from flip_wire.models import FileRef

MODEL = """
import torch
from torch import nn

def export():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(8, 3))
    return net, torch.rand(2, 1, 4, 4), ["a", "b", "c"]

def wrong_labels():
    return *export()[:2], ["a"]

def one_row():
    return nn.Linear(2, 2), torch.rand(1, 2), []

def untraceable():
    class Odd(nn.Module):
        def forward(self, x):
            return x if float(x.sum()) > 0 else -x
    return Odd(), torch.rand(2, 2), []

def nothing():
    return None
"""


@pytest.fixture
def make_app(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """An app folder that names that function; its module has a name of its own, for modules are imported once."""
    module = f"model_{folder.name.replace('-', '_')}"

    def make(export: str) -> Path:
        (folder / f"{module}.py").write_text(MODEL)
        line = f'[tool.flip]\nexport = "{module}:{export}"\n' if export else ""
        (folder / "pyproject.toml").write_text(f'[project]\nname = "Digits.CNN"\n{line}')
        monkeypatch.syspath_prepend(folder)
        return folder

    return make


def arrays_of(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


def content_of(version: Version, file: FileRef) -> bytes:
    content = version.files[file.sha256]
    assert isinstance(content, bytes), "without a spool all is in memory"
    return content


def served(version: Version, rows: np.ndarray) -> np.ndarray:
    """As a device does it: graph and weights from the version's files alone."""
    assert version.manifest.graph
    weights = load(content_of(version, version.manifest.weights))
    options = onnxruntime.SessionOptions()
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(weight) for weight in weights.values()]
    options.add_external_initializers(list(weights), values)
    graph = content_of(version, version.manifest.graph)
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["y"], {"x": rows})[0])


def test_every_round_is_served_with_its_own_weights_from_one_graph(make_app: Callable[[str], Path]) -> None:
    app = make_app("export")
    maker = VersionMaker(app)
    maker.prepare()
    network = load_export(read_project(app).tool.flip.export, app).module
    graphs: set[str] = set()
    for number in (1, 2):
        with torch.no_grad():
            for tensor in network.state_dict().values():
                tensor.copy_(torch.rand(tensor.shape) + 0.5 if tensor.is_floating_point() else tensor)
        averaged = {name: np.asarray(array, np.float64) for name, array in arrays_of(network).items()}
        version = maker.make(number, averaged, {"accuracy": 0.5})
        manifest = version.manifest
        assert (version.warning, manifest.deployable, manifest.model) == ("", True, "digits.cnn")
        assert (manifest.round, manifest.labels, manifest.metrics) == (number, ["a", "b", "c"], {"accuracy": 0.5})
        assert [(spec.name, spec.shape) for spec in manifest.inputs + manifest.outputs] == [
            ("x", [-1, 1, 4, 4]),
            ("y", [-1, 3]),
        ]
        rows = torch.rand(5, 1, 4, 4)
        assert np.allclose(served(version, rows.numpy()), network(rows).detach().numpy(), atol=1e-4)
        assert manifest.graph
        assert manifest.graph.size < 20_000
        graphs.add(manifest.graph.sha256)
        assert manifest.probe
        probe = [np.array(t.data, t.dtype).reshape(t.shape) for t in (*manifest.probe.inputs, *manifest.probe.outputs)]
        assert np.allclose(served(version, probe[0]), probe[1], atol=manifest.probe.tolerance)
    assert len(graphs) == 1


@pytest.mark.parametrize(
    ("export", "reason"),
    [
        ("wrong_labels", "3 outputs and the export 1 labels"),
        ("one_row", "two rows"),
        ("nothing", "failed: TypeError"),
        ("missing", "failed: AttributeError"),
        ("untraceable", "the ONNX export failed"),
    ],
)
def test_a_bad_export_makes_weights_only_versions_that_say_why(
    make_app: Callable[[str], Path], export: str, reason: str
) -> None:
    maker = VersionMaker(make_app(export))
    maker.prepare()
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(8, 3)
    )
    arrays = arrays_of(network)
    version = maker.make(1, arrays, {})
    assert reason in version.warning
    assert not version.manifest.deployable
    assert set(load(content_of(version, version.manifest.weights))) == set(arrays)


def test_a_graph_that_computes_something_else_is_noticed() -> None:
    class Trained(nn.Module):
        """Behaves otherwise where it is exported, as a module with a hidden mode does."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.weight if torch.compiler.is_exporting() else x + self.weight

    servable = Servable(Exportable(module=Trained().eval(), example=torch.rand(2, 2), labels=[]))
    with pytest.raises(Rejected, match="other outputs"):
        servable.bind({"weight": np.array([3.0, 4.0], np.float32)})


def test_arrays_of_another_network_or_outputs_that_are_no_numbers_are_refused() -> None:
    servable = Servable(Exportable(module=nn.Linear(2, 2).eval(), example=torch.rand(2, 2), labels=[]))
    with pytest.raises(Rejected, match="loading the round's arrays"):
        servable.bind({"weight": np.zeros((3, 3), np.float32), "bias": np.zeros(2, np.float32)})
    with pytest.raises(Rejected, match="not finite"):
        servable.bind({"weight": np.full((2, 2), np.nan, np.float32), "bias": np.zeros(2, np.float32)})


def test_without_an_export_versions_hold_the_weights_and_need_no_torch(make_app: Callable[[str], Path]) -> None:
    maker = VersionMaker(make_app(""))
    maker.prepare()
    version = maker.make(3, {"0": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "1": np.array(7)}, {})
    assert (version.warning, version.manifest.deployable, version.manifest.graph) == ("", False, None)
    weights = load(content_of(version, version.manifest.weights))
    assert weights["0"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert weights["1"] == 7


def test_a_models_name_is_the_apps_name_in_plain_letters() -> None:
    assert model_name("My App (2)") == "my-app-2"
    assert model_name("éé") == "model"
