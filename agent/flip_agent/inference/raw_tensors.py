"""Tensors as bytes: row-major, little-endian, exactly as long as their shape says; the same over HTTP and gRPC."""

import math
from collections.abc import Sequence

import numpy as np

from flip_agent.inference.problems import Refusal
from flip_agent.inference.tensors import DATATYPES, Array, check_shape, expected, short_shape
from flip_wire.models import TensorSpec

_DTYPES = {name: np.dtype(name).newbyteorder("<") for name in DATATYPES}


def raw_array(spec: TensorSpec, shape: Sequence[int], content: bytes | memoryview) -> Array:
    """Reads the bytes where they lie. Raises `Refusal`."""
    check_shape(spec, shape)
    dtype = _DTYPES[spec.dtype]
    if len(content) != (wanted := math.prod(shape) * dtype.itemsize):
        raise Refusal(f"{expected(spec)}, shape {short_shape(shape)} has {wanted} bytes, got {len(content)}")
    if spec.dtype == "bool" and any(byte > 1 for byte in set(bytes(content))):
        raise Refusal(f"{expected(spec)}, got a byte that is neither 0 nor 1")
    return np.frombuffer(content, dtype).reshape(shape)


def raw_bytes(values: Array) -> bytes:
    return values.astype(_DTYPES[values.dtype.name], copy=False).tobytes()
