"""The arrays of a Flower record as NumPy's, and back, without a copy that need not be.

Flower keeps an array as the bytes of a .npy file (numpy.lib.format). What is read here are views of those bytes: they
are read-only and keep the bytes alive. What is written is, byte for byte, what Flower's own `Array(ndarray)` writes.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord
from numpy.typing import NDArray

from flip_runtime.errors import Rejected

Arrays = Mapping[str, NDArray[Any]]
"""By the name of the tensor."""

_STYPE = "numpy.ndarray"
_NUMBERS = "biufc"
"""Kinds of NumPy's types: booleans, whole numbers with and without sign, floating-point and complex ones."""
_MAGIC = 8
"""Bytes: magic and version of the format."""
_LONGEST_HEADER = 4096


def read(record: Mapping[str, Array]) -> dict[str, NDArray[Any]]:
    """Views of the record's bytes. Raises `Rejected` that names the tensor which is no array."""
    return dict(views(record.items()))


def views(arrays: Iterable[tuple[str, Array]]) -> Iterator[tuple[str, NDArray[Any]]]:
    """One at a time, so that no more than one is in memory where their bytes are fetched when they are read."""
    for name, array in arrays:
        yield name, _view(name, array)


def written(arrays: dict[str, NDArray[Any]]) -> ArrayRecord:
    """Takes the arrays out of `arrays` one by one, so that no more than one of them is there twice."""
    record = ArrayRecord()
    for name in list(arrays):
        array = np.asarray(arrays.pop(name))
        record[name] = Array(str(array.dtype), tuple(array.shape), _STYPE, _npy(array))
    return record


def mean_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Of the product of such an array and a Python float: its own, or float64 for whole numbers and booleans."""
    return np.result_type(dtype, 1.0)


def _view(name: str, array: Array) -> NDArray[Any]:
    if array.stype != _STYPE:
        raise Rejected(f"{name} is no NumPy array but {array.stype[:40]!r}")
    content = array.data
    try:
        dtype, shape, order, begin = _layout(content)
    except (ValueError, SyntaxError, TypeError) as error:
        raise Rejected(f"{name} is no array in NumPy's format") from error
    if dtype.kind not in _NUMBERS:
        raise Rejected(f"{name} holds {dtype}, not numbers")
    if len(content) - begin != prod(shape) * dtype.itemsize:
        raise Rejected(f"{name} has {len(content) - begin} bytes, not those of its shape {said(shape)} in {dtype}")
    return np.frombuffer(content, dtype=dtype, offset=begin).reshape(shape, order=order)


def _layout(content: bytes) -> "_Layout":
    longer = content[6:7] == b"\x02"  # version 2 has a length of four bytes
    begin = _MAGIC + (4 if longer else 2)
    end = begin + int.from_bytes(content[_MAGIC:begin], "little")
    if end > begin + _LONGEST_HEADER or end > len(content):
        raise ValueError("the header has no end")
    return _parsed(bytes(content[:end]))


@lru_cache(maxsize=1024)
def _parsed(head: bytes) -> "_Layout":
    """A model's tensors have the same few headers in each update. Raises `ValueError`."""
    file = io.BytesIO(head)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version}")
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = reader(file, max_header_size=_LONGEST_HEADER)
    if any(length < 0 for length in shape):
        raise ValueError("a negative length")
    return dtype, shape, "F" if fortran else "C", len(head)


_Layout = tuple[np.dtype[Any], tuple[int, ...], Any, int]
"""Type, shape, order, and where the numbers begin."""


def _npy(array: NDArray[Any]) -> bytes:
    """As `numpy.save`, which would need the array three times for a moment."""
    if not array.flags.c_contiguous and not array.flags.f_contiguous:
        array = np.ascontiguousarray(array)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(array))
    flat = array.reshape(-1, order="C" if array.flags.c_contiguous else "F")
    return b"".join((head.getbuffer(), flat.view(np.uint8).data if array.size else b""))


def said(shape: tuple[int, ...]) -> str:
    """For people: 10x64."""
    return "x".join(map(str, shape)) or "scalar"
