"""Tensors as JSON: lists of numbers, flat in row-major order or nested, made into arrays of exactly the declared type.

What is not JSON (NaN, Infinity), of another type, ragged, or beyond the type's range is refused; no list is walked in
Python, and nothing is allocated by a declared shape, only by values that were sent.
"""

import contextvars
import functools
import math
import re
import struct
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
from msgspec import Raw

from flip_agent.inference.problems import Refusal
from flip_agent.inference.tensors import DATATYPES, Array, check_shape, expected, is_finite, short_shape
from flip_wire.models import TensorSpec

T = TypeVar("T")

_silently = contextvars.copy_context()  # for the event loop's thread alone; a tenth of what `np.errstate` takes
_silently.run(np.seterr, over="ignore")
_OPENING_BRACKETS = re.compile(rb"(?:[ \t\r\n]*\[)*")


def decode_json(decoder: msgspec.json.Decoder[T], content: bytes | bytearray | memoryview | Raw, what: str) -> T:
    """Raises `Refusal` that begins with `what`."""
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as error:
        raise Refusal(f"{what}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(f"{what} is no valid JSON: {error}", hint="JSON has no NaN and no Infinity") from error
    except RecursionError as error:
        raise Refusal(f"{what} is nested too deeply") from error


def declared_array(spec: TensorSpec, shape: Sequence[int], data: Raw) -> Array:
    """From a flat list, or one nested as `shape` says. Raises `Refusal`."""
    check_shape(spec, shape)
    depth, values = _values(spec, data)
    if depth == 1:
        return _flat(spec, shape, values)
    result = _nested(spec, values)
    if list(result.shape) != list(shape):
        raise Refusal(f"{expected(spec)}, shape {short_shape(shape)} is declared, got lists of shape {result.shape}")
    return result


def flat_array(spec: TensorSpec, shape: Sequence[int], numbers: Array) -> Array:
    """From numbers of the widest type of their kind. Raises `Refusal`."""
    check_shape(spec, shape)
    _check_count(spec, shape, len(numbers))
    dtype = np.dtype(spec.dtype)
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        if numbers.min() < limits.min or numbers.max() > limits.max:
            raise _out_of_range(spec)
    return _finite(spec, _silently.run(numbers.astype, dtype, copy=False)).reshape(shape)


def row_array(spec: TensorSpec, data: Raw) -> Array:
    """From a list of rows, each flat or nested: its first dimension is their number. Raises `Refusal`."""
    depth, values = _values(spec, data)
    result = _flat(spec, [len(values)], values) if depth == 1 else _nested(spec, values)
    row = spec.shape[1:]
    if depth == 2 and len(row) > 1 and -1 not in row and result.shape[1] == math.prod(row):
        result = result.reshape(-1, *row)
    check_shape(spec, result.shape)
    return result


def _values(spec: TensorSpec, data: Raw) -> tuple[int, list[Any]]:
    """The lists, and how deep they are nested."""
    opening = _OPENING_BRACKETS.match(memoryview(data))
    depth = 0 if opening is None else opening[0].count(b"[")
    if not 1 <= depth <= max(1, len(spec.shape)):
        raise Refusal(f"{expected(spec)}, as a flat or a nested list; got {depth} levels of lists")
    return depth, decode_json(_decoder(DATATYPES[spec.dtype].kind, depth), data, f"input '{spec.name}'")


@functools.cache
def _decoder(kind: type[Any], depth: int) -> msgspec.json.Decoder[list[Any]]:
    lists: Any = kind
    for _ in range(depth):
        lists = list[lists]
    return msgspec.json.Decoder(lists)


def _flat(spec: TensorSpec, shape: Sequence[int], values: list[Any]) -> Array:
    count = _check_count(spec, shape, len(values))
    datatype = DATATYPES[spec.dtype]
    if not datatype.code:
        return _nested(spec, values).reshape(shape)
    try:
        packed = struct.pack(f"{count}{datatype.code}", *values)
    except (OverflowError, struct.error) as error:
        raise _out_of_range(spec) from error
    return _finite(spec, np.frombuffer(packed, dtype=datatype.numpy)).reshape(shape)


def _check_count(spec: TensorSpec, shape: Sequence[int], got: int) -> int:
    if got != (count := math.prod(shape)):
        raise Refusal(f"{expected(spec)}, shape {short_shape(shape)} has {count} values, got {got}")
    return count


def _nested(spec: TensorSpec, values: list[Any]) -> Array:
    try:
        with np.errstate(over="ignore"):
            return _finite(spec, np.array(values, dtype=DATATYPES[spec.dtype].numpy))
    except OverflowError as error:
        raise _out_of_range(spec) from error
    except ValueError as error:
        raise Refusal(f"{expected(spec)}, got lists of different lengths") from error


def _finite(spec: TensorSpec, values: Array) -> Array:
    """A number beyond a float type's range became infinite."""
    if not is_finite(values):
        raise _out_of_range(spec)
    return values


def _out_of_range(spec: TensorSpec) -> Refusal:
    return Refusal(f"{expected(spec)}, got a number that this type cannot hold")
