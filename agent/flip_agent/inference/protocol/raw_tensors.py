"""Tensors as bytes: row-major, little-endian, exactly as long as their shape says; the same over HTTP and gRPC."""

import math
import sys
from collections.abc import Sequence

import numpy as np

from flip_agent.inference.problems import Refusal
from flip_agent.inference.tensors import DATATYPES, Array, check_finite, check_shape, expected, short_shape
from flip_wire.models import TensorSpec

_LITTLE_ENDIAN = sys.byteorder == "little"
_DTYPES = {name: np.dtype(name).newbyteorder("<") for name in DATATYPES}


def raw_array(spec: TensorSpec, shape: Sequence[int], content: bytes | memoryview) -> Array:
    """Reads the bytes where they lie, if a number may lie there. Raises `Refusal`."""
    check_shape(spec, shape)
    if len(content) != (wanted := raw_size(spec, shape)):
        raise Refusal(f"{expected(spec)}, shape {short_shape(shape)} has {wanted} bytes, got {len(content)}")
    values = np.frombuffer(content, _DTYPES[spec.dtype])
    check_finite(spec, values)
    if values.dtype.kind == "b" and values.view("uint8").max() > 1:
        raise Refusal(f"{expected(spec)}, got a byte that is neither 0 nor 1")
    return (values if values.flags.aligned else values.copy()).reshape(shape)


def raw_size(spec: TensorSpec, shape: Sequence[int]) -> int:
    """Bytes of a tensor of this shape."""
    return math.prod(shape) * _DTYPES[spec.dtype].itemsize


def raw_bytes(values: Array) -> bytes:
    """Of an array in this machine's own order of bytes."""
    return values.tobytes() if _LITTLE_ENDIAN else values.byteswap().tobytes()
