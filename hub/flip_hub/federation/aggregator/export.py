"""A torch module as something that devices can serve without torch: a weightless ONNX graph, weights and a probe.

The graph is exported once; its initializers are named as in the state_dict and hold nothing. Each round binds it to
weights: the app's own module computes the probe's outputs from exactly these weights, and onnxruntime must get the
same from graph and weights, so that a bad export is noticed here and not on a device. The graph is exported without
the exporter's optimizer, which would fold the first round's weights into constants (a BatchNorm into its Conv).
Tensors of the state_dict that the graph does not use (a BatchNorm's counter) are left out: onnxruntime refuses them.
"""

import contextlib
import importlib
import logging
import sys
import warnings
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from onnx.external_data_helper import set_external_data

from flip_runtime.errors import Rejected
from flip_wire.models import Probe, Tensor, TensorSpec

INPUT, OUTPUT = "x", "y"
_TOLERANCE = 1e-4
"""Of the largest output, and at least this much: processors round sums differently."""


class Exportable(msgspec.Struct, frozen=True, kw_only=True):
    """What an app's `export` function returned, checked."""

    module: Any
    """torch.nn.Module, in evaluation mode."""
    example: Any
    """torch.Tensor, batch first."""
    labels: list[str]


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    weights: dict[str, NDArray[Any]]
    inputs: list[TensorSpec]
    outputs: list[TensorSpec]
    probe: Probe


def load_export(entry_point: str, app_folder: Path) -> Exportable:
    """Calls the app's `module:function`. Raises `Rejected` that says what is wrong with it."""
    name, _, attribute = entry_point.partition(":")
    if not name or not attribute:
        raise Rejected(f"export {entry_point!r} is not of the form module:function")
    if str(app_folder) not in sys.path:
        sys.path.insert(0, str(app_folder))
    with _blaming(f"export {entry_point}"):
        module, example, labels = getattr(importlib.import_module(name), attribute)()
    if not isinstance(module, torch.nn.Module) or not isinstance(example, torch.Tensor):
        raise Rejected(f"export {entry_point} must return (torch.nn.Module, torch.Tensor, list of class names)")
    if example.ndim < 1 or len(example) < 2:
        raise Rejected(f"export {entry_point}: the example needs at least two rows, batch first")
    return Exportable(module=module.eval(), example=example, labels=[str(label) for label in labels])


class Servable:
    """The app's module and its graph."""

    def __init__(self, exportable: Exportable) -> None:
        """Raises `Rejected` when the module cannot be exported."""
        self._module: torch.nn.Module = exportable.module
        self._example: torch.Tensor = exportable.example
        self.labels = exportable.labels
        with _blaming("the ONNX export"):
            self.graph, self._names = _weightless(self._module, self._example)

    @classmethod
    def of(cls, entry_point: str, app_folder: Path) -> Self:
        return cls(load_export(entry_point, app_folder))

    def bind(self, arrays: Mapping[str, NDArray[Any]]) -> Bound:
        """Raises `Rejected` when graph and weights do not compute what the module does."""
        with _blaming("loading the round's arrays into the exported module"):
            self._module.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in arrays.items()})
            with torch.inference_mode():
                expected = self._module(self._example).numpy()
        if not np.isfinite(expected).all():
            raise Rejected("the model's outputs are not finite")
        if self.labels and expected.shape[-1] != len(self.labels):
            raise Rejected(f"the model has {expected.shape[-1]} outputs and the export {len(self.labels)} labels")
        example = self._example.numpy()
        state = self._module.state_dict()
        weights = {name: state[name].numpy().copy() for name in self._names}
        tolerance = _TOLERANCE * max(1.0, float(np.abs(expected).max()))
        with _blaming("onnxruntime"):
            found = _run(self.graph, weights, example)
        if found.shape != expected.shape or not np.allclose(found, expected, rtol=0.0, atol=tolerance):
            raise Rejected("onnxruntime computes other outputs from the exported graph than the module itself")
        probe = Probe(inputs=[_tensor(INPUT, example)], outputs=[_tensor(OUTPUT, expected)], tolerance=tolerance)
        inputs, outputs = [_spec(INPUT, example)], [_spec(OUTPUT, expected)]
        return Bound(weights=weights, inputs=inputs, outputs=outputs, probe=probe)


def _weightless(module: torch.nn.Module, example: torch.Tensor) -> tuple[bytes, list[str]]:
    """The graph, and the names of the tensors that it expects from outside."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of each package that is not installed
    with warnings.catch_warnings(action="ignore"):  # of torch, about itself
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            optimize=False,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=[INPUT],
            output_names=[OUTPUT],
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    keys, names = set(module.state_dict()), list[str]()
    for tensor in model.graph.initializer:
        if tensor.name in keys:
            names.append(tensor.name)
            if not tensor.HasField("raw_data"):
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
            set_external_data(tensor, location="weights")
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
    return model.SerializeToString(), names


def _run(graph: bytes, weights: dict[str, NDArray[Any]], example: NDArray[Any]) -> NDArray[Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(weight) for weight in weights.values()]
    options.add_external_initializers(list(weights), values)
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run([OUTPUT], {INPUT: example})[0])


def _tensor(name: str, array: NDArray[Any]) -> Tensor:
    return Tensor(name=name, dtype=array.dtype.name, shape=list(array.shape), data=array.ravel().tolist())


def _spec(name: str, array: NDArray[Any]) -> TensorSpec:
    return TensorSpec(name=name, dtype=array.dtype.name, shape=[-1, *array.shape[1:]])


@contextlib.contextmanager
def _blaming(what: str) -> Generator[None]:
    """Whatever an app's code raises, or a library on its module, is a reason for people, never the run's failure."""
    try:
        yield
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise Rejected(f"{what} failed: {type(error).__name__}: {reason}"[:500]) from error
