"""A model whose outputs are its inputs, one of each datatype: `fp16` in, `fp16_out` out, and so on."""

import numpy as np
import safetensors.numpy
from onnx import TensorProto, helper

from flip_agent.models.store import ModelStore
from flip_demo.perceptron import file, put
from flip_wire.models import GRAPH, WEIGHTS, Manifest, Probe, Sha256, Tensor, TensorSpec, encode_manifest

DTYPES = {
    "bool": TensorProto.BOOL,
    "int8": TensorProto.INT8,
    "int16": TensorProto.INT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
    "uint16": TensorProto.UINT16,
    "uint32": TensorProto.UINT32,
    "uint64": TensorProto.UINT64,
    "float16": TensorProto.FLOAT16,
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
}
"""By their NumPy name, of which inputs and outputs have theirs."""
COLUMNS = 3


def make_echo(store: ModelStore, model: str = "echo", version: int = 1) -> Sha256:
    """Puts a version into the store and gives its manifest's hash."""
    store.create()
    specs = [TensorSpec(name=name, dtype=name, shape=[-1, COLUMNS]) for name in DTYPES]
    answers = [TensorSpec(name=f"{name}_out", dtype=name, shape=[-1, COLUMNS]) for name in DTYPES]
    manifest = Manifest(
        model=model,
        version=version,
        created_at=0.0,
        graph=file(store, GRAPH, _graph()),
        weights=file(store, WEIGHTS, safetensors.numpy.save({"unused": np.zeros(1, "f4")})),
        inputs=specs,
        outputs=answers,
        probe=Probe(inputs=_ones(specs), outputs=_ones(answers)),
    )
    return put(store, encode_manifest(manifest))


def _graph() -> bytes:
    body = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name}_out"]) for name in DTYPES],
        "echo",
        [helper.make_tensor_value_info(name, kind, ["batch", COLUMNS]) for name, kind in DTYPES.items()],
        [helper.make_tensor_value_info(f"{name}_out", kind, ["batch", COLUMNS]) for name, kind in DTYPES.items()],
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return model.SerializeToString()


def _ones(specs: list[TensorSpec]) -> list[Tensor]:
    return [Tensor(name=spec.name, dtype=spec.dtype, shape=[1, COLUMNS], data=[1.0] * COLUMNS) for spec in specs]
