"""Tensors at the edge: the protocol's names of NumPy types, and shapes checked against a `TensorSpec`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from flip_agent.inference.problems import Refusal
from flip_wire.models import TensorSpec

Array = NDArray[Any]


class Datatype(Struct, frozen=True):
    name: str
    """In the Open Inference Protocol."""
    numpy: str
    kind: type[bool] | type[int] | type[float]
    """Of one value in JSON."""
    code: str
    """Of `struct.pack`, which takes a list of numbers four times as fast as NumPy; empty where it has none."""


DATATYPES = {
    datatype.numpy: datatype
    for datatype in [
        Datatype("BOOL", "bool", bool, ""),
        Datatype("INT8", "int8", int, "b"),
        Datatype("INT16", "int16", int, "h"),
        Datatype("INT32", "int32", int, "i"),
        Datatype("INT64", "int64", int, "q"),
        Datatype("UINT8", "uint8", int, "B"),
        Datatype("UINT16", "uint16", int, "H"),
        Datatype("UINT32", "uint32", int, "I"),
        Datatype("UINT64", "uint64", int, "Q"),
        Datatype("FP16", "float16", float, ""),
        Datatype("FP32", "float32", float, "f"),
        Datatype("FP64", "float64", float, "d"),
    ]
}
"""By NumPy name."""


_LONGEST = 2**40
"""Of a dimension; nothing that was sent is longer."""


def expected(spec: TensorSpec) -> str:
    """For people: `input 'x' takes FP32 [-1, 784]`."""
    return f"input '{spec.name}' takes {DATATYPES[spec.dtype].name} {spec.shape}"


def check_shape(spec: TensorSpec, shape: Sequence[int]) -> None:
    """Raises `Refusal` unless the shape fits the spec; an empty tensor never does."""
    if len(shape) != len(spec.shape) or not all(map(_fits, shape, spec.shape)):
        raise Refusal(f"{expected(spec)}, got shape {short_shape(shape)}")


def short_shape(shape: Sequence[int]) -> str:
    """A shape that was sent may be as long as a body, and so may one of its numbers."""
    if len(shape) <= 8 and all(-_LONGEST <= size <= _LONGEST for size in shape):
        return str(list(shape))
    return f"of {len(shape)} dimensions, too large to show"


def check_finite(spec: TensorSpec, values: Array) -> None:
    """Raises `Refusal`; why it is refused in every encoding: docs/decisions/18-finite-inputs.md."""
    if not is_finite(values):
        raise Refusal(f"{expected(spec)}, got NaN or an infinite number")


def is_finite(values: Array) -> bool:
    """Of numbers of any type."""
    return values.dtype.kind != "f" or b"\0" not in np.isfinite(values).tobytes()  # `all` takes four times as long


def _fits(got: int, wanted: int) -> bool:
    return 1 <= got <= _LONGEST and wanted in (-1, got)
