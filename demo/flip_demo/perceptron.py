"""A perceptron drawn from a seed, for tests and benches: a version in a device's model store, or one ONNX file."""

import hashlib
from typing import Any

import numpy as np
import safetensors.numpy
from msgspec.structs import replace
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from flip_agent.models.store import ModelStore
from flip_wire.models import GRAPH, WEIGHTS, FileRef, Manifest, Probe, Sha256, Tensor, TensorSpec, encode_manifest

Array = NDArray[np.float32]
Sizes = tuple[int, int, int]

DIGITS: Sizes = (64, 32, 10)


def make_version(
    store: ModelStore, model: str, version: int, seed: int, *, sizes: Sizes = DIGITS, **changes: Any
) -> Sha256:
    """Puts a version into the store and gives its manifest's hash; `changes` replace fields of the manifest."""
    store.create()
    return put(store, encode_manifest(replace(manifest(store, model, version, seed, sizes), **changes)))


def manifest(store: ModelStore, model: str, version: int, seed: int, sizes: Sizes = DIGITS) -> Manifest:
    """Of a version whose files it puts into the store."""
    rows = np.random.RandomState(1).rand(3, sizes[0]).astype("f4")
    return Manifest(
        model=model,
        version=version,
        created_at=0.0,
        graph=file(store, GRAPH, graph(sizes)),
        weights=file(store, WEIGHTS, safetensors.numpy.save(weights(seed, sizes))),
        inputs=[TensorSpec(name="x", dtype="float32", shape=[-1, sizes[0]])],
        outputs=[TensorSpec(name="y", dtype="float32", shape=[-1, sizes[2]])],
        labels=[f"class-{number}" for number in range(sizes[2])],
        probe=Probe(inputs=[tensor("x", rows)], outputs=[tensor("y", expected(seed, rows, sizes))]),
    )


def weights(seed: int, sizes: Sizes = DIGITS) -> dict[str, Array]:
    """Named as in the state_dict of torch's `Sequential(Linear, ReLU, Linear)`."""
    draw = np.random.RandomState(seed)
    shapes = {
        "0.weight": (sizes[1], sizes[0]),
        "0.bias": (sizes[1],),
        "2.weight": (sizes[2], sizes[1]),
        "2.bias": (sizes[2],),
    }
    return {name: draw.uniform(-0.2, 0.2, shape).astype("f4") for name, shape in shapes.items()}


def expected(seed: int, rows: Array, sizes: Sizes = DIGITS) -> Array:
    """What the model of that seed answers."""
    learned = weights(seed, sizes)
    hidden = np.maximum(rows @ learned["0.weight"].T + learned["0.bias"], 0)
    return hidden @ learned["2.weight"].T + learned["2.bias"]


def graph(sizes: Sizes = DIGITS) -> bytes:
    return graph_model(sizes).SerializeToString()


def whole_graph(seed: int, sizes: Sizes = DIGITS) -> bytes:
    """With its weights inside, as servers take it that know no other form."""
    model = graph_model(sizes)
    del model.graph.initializer[:]
    model.graph.initializer.extend(
        numpy_helper.from_array(values, name) for name, values in weights(seed, sizes).items()
    )
    return model.SerializeToString()


def graph_model(sizes: Sizes = DIGITS) -> ModelProto:
    """The perceptron without weights, as torch's exporter writes it; tests may spoil it."""
    nodes = [
        helper.make_node("Gemm", ["x", "0.weight", "0.bias"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "2.weight", "2.bias"], ["y"], transB=1),
    ]
    body: GraphProto = helper.make_graph(
        nodes,
        "perceptron",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", sizes[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", sizes[2]])],
        [external(name, list(values.shape)) for name, values in weights(0, sizes).items()],
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def external(name: str, shape: list[int], location: str = "weights") -> TensorProto:
    """An initializer without values."""
    initializer = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, raw_data=b"")
    set_external_data(initializer, location=location)
    initializer.ClearField("raw_data")
    initializer.data_location = TensorProto.EXTERNAL
    return initializer


def tensor(name: str, values: Array) -> Tensor:
    return Tensor(name=name, dtype="float32", shape=list(values.shape), data=values.ravel().tolist())


def file(store: ModelStore, name: str, content: bytes) -> FileRef:
    return FileRef(name=name, sha256=put(store, content), size=len(content))


def put(store: ModelStore, content: bytes) -> Sha256:
    sha256 = Sha256(hashlib.sha256(content).hexdigest())
    if not store.holds(sha256):
        store.part(sha256).write_bytes(content)
        store.admit(sha256)
    return sha256
