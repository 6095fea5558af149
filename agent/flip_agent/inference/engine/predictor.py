"""A model version ready to answer: an onnxruntime session over a weightless ONNX graph and safetensors weights.

`Predictor.load` takes nothing but that format, whole and as its manifest says; there is no way in for code (`.pt2`,
pickle, TorchScript) or for tensors from other files. The only module that imports onnxruntime.
"""

import importlib
from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime as ort
import safetensors.numpy
from safetensors import SafetensorError

from flip_agent.inference.engine.onnx_file import OnnxFile, read_onnx
from flip_agent.inference.tensors import DATATYPES, Array
from flip_agent.models.servable import servable_files
from flip_agent.models.store import ModelStore
from flip_runtime.errors import Rejected
from flip_wire.models import FileRef, Manifest, Sha256, Tensor, TensorSpec

OPSETS = range(13, 27)
"""Of ONNX's own operators, that onnxruntime 1.31 computes."""
EMBEDDED_LIMIT = 2**20
"""Bytes of constants in a graph: shapes and small tables; what is learned comes with the weights."""
GRAPH_LIMIT = 64 * 2**20
"""Bytes of a graph without weights; the largest known are a tenth of it."""

_ORT_TYPES = {
    "tensor(bool)": "bool",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "tensor(float16)": "float16",
}
_ONNX_TYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}
"""`TensorProto.DataType`."""

# onnxruntime's errors have no common class of their own.
_ORT_ERRORS = tuple(
    value
    for value in vars(importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")).values()
    if isinstance(value, type) and issubclass(value, Exception)
)


class Predictor:
    """Immutable; `run` may be called from any thread, one at a time."""

    def __init__(self, manifest: Manifest, session: ort.InferenceSession, weights: Sequence[str]) -> None:
        self.manifest = manifest
        self.batched = manifest.batched
        self.graph = servable_files(manifest)[0].sha256
        self.weights = weights
        """Names of the tensors that the graph takes."""
        self._session = session
        self._inputs = [spec.name for spec in manifest.inputs]
        self._outputs = [spec.name for spec in manifest.outputs]

    @property
    def version(self) -> int:
        return self.manifest.version

    @classmethod
    def load(cls, store: ModelStore, manifest: Manifest, own: Mapping[str, Array] | None = None) -> "Predictor":
        """Verifies the files and builds the session, with `own` in the place of the tensors of these names. Raises
        `Corrupt` (damaged) or `Rejected` (not our format)."""
        graph, weights = _files(manifest)
        for file in (graph, weights):
            store.verify(file.sha256)
        content = store.blob(graph.sha256).read_bytes()
        structure = _checked_graph(content)
        try:
            tensors = safetensors.numpy.load_file(store.blob(weights.sha256))
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise Rejected("the weights are no safetensors file that NumPy can read") from error
        supplied = _supplied(structure, tensors if own is None else {**tensors, **own})
        session = _open(content, supplied)
        _check_specs("input", manifest.inputs, session.get_inputs())
        _check_specs("output", manifest.outputs, session.get_outputs())
        return cls(manifest, session, list(supplied))

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One forward; `inputs` and outputs in the manifest's order. Raises `Rejected` when these inputs have none."""
        try:
            outputs = self._session.run(self._outputs, dict(zip(self._inputs, inputs, strict=True)))
        except (*_ORT_ERRORS, MemoryError) as error:
            raise Rejected(f"model {self.manifest.model} cannot compute these inputs") from error
        arrays = [np.asarray(output) for output in outputs]
        rows = inputs[0].shape[0]
        if self.batched and any(output.shape[0] != rows for output in arrays):
            raise Rejected(f"model {self.manifest.model} does not give one output per row")
        return arrays

    def probe(self) -> None:
        """Raises `Rejected` unless the outputs are those that the exporter saw."""
        for spec, got, want, tolerance in self._probed():
            apart = np.abs(got.astype("float64") - want.astype("float64")).max()
            if not apart <= tolerance:  # a NaN is never within it
                raise Rejected(f"probe: output '{spec.name}' is off by {apart:.3g}, {tolerance:g} is allowed")

    def check(self) -> None:
        """Of one with tensors of this device's own. Raises `Rejected` unless its outputs for the probe's inputs are
        finite, and of the shapes that the exporter saw."""
        for spec, got, _, _ in self._probed():
            if not np.isfinite(got).all():
                raise Rejected(f"probe: output '{spec.name}' is not finite")

    def _probed(self) -> list[tuple[TensorSpec, Array, Array, float]]:
        """Each output for the probe's inputs: what came, what the exporter saw, how far they may be apart."""
        probe = self.manifest.probe
        if probe is None:
            raise Rejected("the version has no probe")
        inputs = _probe_arrays("input", self.manifest.inputs, probe.inputs)
        wanted = _probe_arrays("output", self.manifest.outputs, probe.outputs)
        found = [(*each, probe.tolerance) for each in zip(self.manifest.outputs, self.run(inputs), wanted, strict=True)]
        for spec, got, want, _ in found:
            if got.shape != want.shape:
                raise Rejected(f"probe: output '{spec.name}' has shape {got.shape}, the exporter saw {want.shape}")
        return found


def _files(manifest: Manifest) -> tuple[FileRef, FileRef]:
    graph, weights = servable_files(manifest)
    if graph.size > GRAPH_LIMIT:
        raise Rejected(f"the graph has {graph.size} bytes, {GRAPH_LIMIT} are allowed")
    return graph, weights


def _checked_graph(content: bytes) -> OnnxFile:
    structure = read_onnx(content)
    if structure.opset not in OPSETS:
        raise Rejected(f"the graph has opset {structure.opset}, this agent knows {OPSETS.start} to {OPSETS.stop - 1}")
    if structure.embedded > EMBEDDED_LIMIT:
        raise Rejected(f"the graph carries {structure.embedded} bytes of tensors, {EMBEDDED_LIMIT} are allowed")
    return structure


def _supplied(structure: OnnxFile, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """The weights that the graph asks for, and no others."""
    for name, wanted in structure.external.items():
        tensor = tensors.get(name)
        if tensor is None:
            raise Rejected(f"the weights lack tensor '{name[:100]}'")
        if list(tensor.shape) != wanted.shape or str(tensor.dtype) != _ONNX_TYPES.get(wanted.elem_type):
            found = f"{tensor.dtype} {list(tensor.shape)}"
            raise Rejected(f"weights '{name[:100]}' are {found}, the graph has shape {wanted.shape}")
    return {name: tensors[name] for name in structure.external}


def _open(graph: bytes, weights: Mapping[str, Array]) -> ort.InferenceSession:
    """The session has the weights in memory of its own: those given to it are free once it is built."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # an arena keeps its high-water mark for ever
    options.log_severity_level = 3
    values = [ort.OrtValue.ortvalue_from_numpy(tensor) for tensor in weights.values()]
    options.add_external_initializers(list(weights), values)
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except _ORT_ERRORS as error:
        raise Rejected("onnxruntime cannot build this graph") from error


def _check_specs(what: str, specs: Sequence[TensorSpec], nodes: Sequence[ort.NodeArg]) -> None:
    declared, found = [spec.name for spec in specs], [str(node.name) for node in nodes]
    if not specs or sorted(declared) != sorted(found):
        raise Rejected(f"the manifest declares {what}s {declared}, the graph has {found}")
    by_name = {str(node.name): node for node in nodes}
    for spec in specs:
        node = by_name[spec.name]
        dtype = _ORT_TYPES.get(str(node.type), str(node.type))
        shape = [size if isinstance(size, int) else -1 for size in node.shape]
        if spec.dtype not in DATATYPES or spec.dtype != dtype or not _compatible(what, spec.shape, shape):
            declaration, truth = f"{spec.dtype} {spec.shape}", f"{dtype} {shape}"
            raise Rejected(f"{what} '{spec.name}' is declared as {declaration}, the graph has {truth}")


def _compatible(what: str, declared: Sequence[int], graph: Sequence[int]) -> bool:
    """A declared length must be the graph's; where the graph is free any is good; inputs may not promise more."""
    if not declared or len(declared) != len(graph):
        return False
    return all(
        want == has or has == -1 or (want == -1 and what == "output") for want, has in zip(declared, graph, strict=True)
    )


def _probe_arrays(what: str, specs: Sequence[TensorSpec], tensors: Sequence[Tensor]) -> list[Array]:
    by_name = {tensor.name: tensor for tensor in tensors}
    if sorted(by_name) != sorted(spec.name for spec in specs):
        raise Rejected(f"probe: its {what}s are not the model's")
    return [_probe_array(what, spec, by_name[spec.name]) for spec in specs]


def _probe_array(what: str, spec: TensorSpec, tensor: Tensor) -> Array:
    try:
        values = np.array(tensor.data, dtype=spec.dtype).reshape(tensor.shape)
    except (ValueError, OverflowError) as error:
        raise Rejected(f"probe: {what} '{spec.name}' does not have its shape") from error
    if not values.size:
        raise Rejected(f"probe: {what} '{spec.name}' is empty")
    return values


def load_version(store: ModelStore, manifest: Sha256) -> Predictor:
    """A version verified whole: its manifest, its files, its probe. Raises `Corrupt` or `Rejected`."""
    predictor = Predictor.load(store, store.manifest(manifest))
    predictor.probe()
    return predictor
