"""A version is served only if it is whole, in our format, and answers its probe; nothing else gets near onnxruntime."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from msgspec.structs import replace
from onnx import ModelProto, TensorProto, helper, numpy_helper

from flip_agent.inference.engine.onnx_file import read_onnx
from flip_agent.inference.engine.predictor import Predictor, load_version
from flip_agent.models.store import ModelStore
from flip_demo.perceptron import expected, external, file, graph, graph_model, make_version, manifest, tensor, weights
from flip_runtime.errors import Corrupt, FlipError, Rejected
from flip_wire.models import GRAPH, WEIGHTS, FileRef, Probe, TensorSpec


@pytest.fixture
def store(folder: Path) -> ModelStore:
    store = ModelStore(folder / "models")
    store.create()
    return store


def test_a_version_answers_as_its_model_does(store: ModelStore) -> None:
    rows = np.random.RandomState(7).rand(5, 64).astype("f4")
    predictor = load_version(store, make_version(store, "digits", 1, seed=3))
    [scores] = predictor.run([rows])
    assert predictor.batched
    assert np.allclose(scores, expected(3, rows), atol=1e-5)


@pytest.mark.parametrize("sizes", [(64, 32, 10), (784, 512, 10)])
def test_a_loaded_version_does_not_read_the_arrays_that_it_was_built_from(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, int, int]
) -> None:
    """They are freed: a session that kept to them would answer with whatever lies there next."""
    given: dict[str, np.ndarray] = {}
    load_file = safetensors.numpy.load_file

    def noted(path: Path) -> dict[str, np.ndarray]:
        given.update(load_file(path))
        return given

    monkeypatch.setattr(safetensors.numpy, "load_file", noted)
    rows = np.random.RandomState(7).rand(5, sizes[0]).astype("f4")
    predictor = load_version(store, make_version(store, "digits", 1, seed=3, sizes=sizes))
    assert len(given) == 4
    for values in given.values():
        values[...] = np.nan
    [scores] = predictor.run([rows])
    assert np.allclose(scores, expected(3, rows, sizes), atol=1e-4)


def test_damaged_files_are_corrupt(store: ModelStore) -> None:
    described = manifest(store, "digits", 1, seed=3)
    for reference in described.files:
        path = store.blob(reference.sha256)
        intact = path.read_bytes()
        path.write_bytes(intact[:-1] + bytes([intact[-1] ^ 1]))
        with pytest.raises(Corrupt, match="has hash"):
            Predictor.load(store, described)
        path.unlink()
        with pytest.raises(Corrupt, match="has hash none"):
            Predictor.load(store, described)
        path.write_bytes(intact)
    Predictor.load(store, described)


def test_a_probe_that_does_not_match_is_rejected(store: ModelStore) -> None:
    probe = manifest(store, "digits", 1, seed=3).probe
    assert probe is not None
    other_model = make_version(store, "digits", 2, seed=4, probe=probe)
    not_a_number = Probe(inputs=probe.inputs, outputs=[tensor("y", np.full((3, 10), np.nan, dtype="f4"))])
    other_shape = Probe(inputs=probe.inputs, outputs=[tensor("y", np.zeros((3, 1), dtype="f4"))])
    other_names = Probe(inputs=probe.inputs, outputs=probe.inputs)
    too_wide = Probe(inputs=[tensor("x", np.zeros((3, 65), dtype="f4"))], outputs=probe.outputs)
    no_shape = Probe(inputs=[replace(probe.inputs[0], shape=[7, 7])], outputs=probe.outputs)
    empty = Probe(inputs=[tensor("x", np.zeros((0, 64), dtype="f4"))], outputs=probe.outputs)
    with pytest.raises(Rejected, match="output 'y' is off by"):
        load_version(store, other_model)
    for version, bad in enumerate((not_a_number, other_shape, other_names, too_wide, no_shape, empty), start=3):
        with pytest.raises(FlipError):
            load_version(store, make_version(store, "digits", version, seed=3, probe=bad))


class Planted:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return (_detonate, ("boom",))


def _detonate(_: str) -> None:
    raise AssertionError("a planted payload ran")


def archive() -> bytes:
    """As `.pt2` and TorchScript are."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as zipped:
        zipped.writestr("data.pkl", pickle.dumps(Planted()))
    return content.getvalue()


@pytest.mark.parametrize("planted", [pickle.dumps(Planted()), archive(), b"", b"\x00" * 100, b"ORTM" * 50])
def test_other_formats_have_no_way_in(store: ModelStore, planted: bytes) -> None:
    described = manifest(store, "digits", 1, seed=3)
    with pytest.raises(Rejected, match="no ONNX file"):
        Predictor.load(store, replace(described, graph=file(store, GRAPH, planted)))
    with pytest.raises(Rejected, match="no safetensors file"):
        Predictor.load(store, replace(described, weights=file(store, WEIGHTS, planted)))


@pytest.mark.parametrize("name", ["model.pt2", "weights.pkl", "../graph.onnx"])
def test_files_of_other_names_are_not_opened(store: ModelStore, name: str) -> None:
    described = manifest(store, "digits", 1, seed=3)
    absent = FileRef(name=name, sha256=described.weights.sha256, size=1)
    with pytest.raises(Rejected, match="is expected"):
        Predictor.load(store, replace(described, graph=absent))
    with pytest.raises(Rejected, match="is expected"):
        Predictor.load(store, replace(described, weights=absent))


def test_weights_only_are_not_served(store: ModelStore) -> None:
    with pytest.raises(Rejected, match="weights only"):
        load_version(store, make_version(store, "digits", 1, seed=3, graph=None))
    with pytest.raises(Rejected, match="weights only"):
        load_version(store, make_version(store, "digits", 2, seed=3, probe=None))


def test_weights_must_be_those_that_the_graph_asks_for(store: ModelStore) -> None:
    described, whole = manifest(store, "digits", 1, seed=3), weights(3)
    wrong = {
        "the weights lack tensor '0.bias'": {name: each for name, each in whole.items() if name != "0.bias"},
        "the graph has shape": whole | {"0.weight": whole["0.weight"][:, :9].copy()},
        r"weights '0.bias' are float64 \[32\]": whole | {"0.bias": whole["0.bias"].astype("f8")},
    }
    for says, tensors in wrong.items():
        with pytest.raises(Rejected, match=says):
            Predictor.load(store, replace(described, weights=file(store, WEIGHTS, safetensors.numpy.save(tensors))))
    surplus = whole | {"num_batches_tracked": np.zeros(1, dtype="i8")}
    Predictor.load(store, replace(described, weights=file(store, WEIGHTS, safetensors.numpy.save(surplus))))


@pytest.mark.parametrize(
    ("field", "spec"),
    [
        ("inputs", TensorSpec(name="z", dtype="float32", shape=[-1, 64])),
        ("inputs", TensorSpec(name="x", dtype="float64", shape=[-1, 64])),
        ("inputs", TensorSpec(name="x", dtype="object", shape=[-1, 64])),
        ("inputs", TensorSpec(name="x", dtype="float32", shape=[-1, 65])),
        ("inputs", TensorSpec(name="x", dtype="float32", shape=[-1, -1])),
        ("inputs", TensorSpec(name="x", dtype="float32", shape=[])),
        ("outputs", TensorSpec(name="y", dtype="float32", shape=[-1, 11])),
        ("outputs", TensorSpec(name="y", dtype="float32", shape=[-1, 10, 1])),
    ],
)
def test_a_manifest_that_promises_other_tensors_is_rejected(store: ModelStore, field: str, spec: TensorSpec) -> None:
    described = replace(manifest(store, "digits", 1, seed=3), **{field: [spec]})
    with pytest.raises(Rejected, match="declare"):
        Predictor.load(store, described)


def old_opset(model: ModelProto) -> None:
    model.opset_import[0].version = 5


def new_opset(model: ModelProto) -> None:
    model.opset_import[0].version = 99


def heavy(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(2**19, dtype="f4"), "table"))


def foreign_file(model: ModelProto) -> None:
    constant = external("secret", [4], location="../../etc/passwd")
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=constant))


def foreign_file_in_a_branch(model: ModelProto) -> None:
    branch = helper.make_graph([], "b", [], [], [external("secret", [4], location="/etc/passwd")])
    model.graph.node.append(helper.make_node("If", ["x"], ["i"], then_branch=branch, else_branch=branch))


def foreign_initializer(model: ModelProto) -> None:
    model.graph.initializer.append(external("secret", [4], location="/etc/passwd"))


def functions(model: ModelProto) -> None:
    model.functions.append(helper.make_function("own", "f", [], [], [], []))


def sparse(model: ModelProto) -> None:
    model.graph.sparse_initializer.append(
        helper.make_sparse_tensor(
            helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0]),
            helper.make_tensor("i", TensorProto.INT64, [1], [0]),
            [4],
        )
    )


def unknown_operator(model: ModelProto) -> None:
    model.graph.node[1].op_type = "Frobnicate"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (old_opset, "opset 5, this agent knows"),
        (new_opset, "opset 99, this agent knows"),
        (heavy, "bytes of tensors"),
        (foreign_file, "'secret' from a file that is not the weights"),
        (foreign_file_in_a_branch, "'secret' from a file that is not the weights"),
        (foreign_initializer, "the weights lack tensor 'secret'"),
        (functions, "functions of its own"),
        (sparse, "sparse tensors"),
        (unknown_operator, "onnxruntime cannot build this graph"),
    ],
)
def test_graphs_that_ours_never_are_do_not_reach_a_session(
    store: ModelStore, spoil: Callable[[ModelProto], None], says: str
) -> None:
    model = graph_model()
    spoil(model)
    described = replace(manifest(store, "digits", 1, seed=3), graph=file(store, GRAPH, model.SerializeToString()))
    with pytest.raises(Rejected, match=says):
        Predictor.load(store, described)


def test_a_model_that_mixes_rows_cannot_claim_otherwise(store: ModelStore) -> None:
    model = graph_model()
    model.graph.node[2].output[0] = "scores"
    model.graph.node.append(helper.make_node("ReduceMean", ["scores"], ["y"], keepdims=1))
    described = replace(manifest(store, "digits", 1, seed=3), graph=file(store, GRAPH, model.SerializeToString()))
    predictor = Predictor.load(
        store, replace(described, outputs=[TensorSpec(name="y", dtype="float32", shape=[-1, 1])])
    )
    with pytest.raises(Rejected, match="one output per row"):
        predictor.run([np.zeros((3, 64), dtype="f4")])


def test_a_graph_cut_short_anywhere_is_no_onnx_or_lacks_something() -> None:
    content = graph()
    whole = read_onnx(content)
    assert (whole.opset, set(whole.external), whole.embedded) == (20, set(weights(0)), 0)
    for end in range(len(content)):
        try:
            found = read_onnx(content[:end])
        except Rejected:
            continue
        assert found.external == whole.external
