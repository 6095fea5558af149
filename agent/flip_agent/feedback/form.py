"""How samples lie in bytes: each a row of fixed length, its tensors one after the other, and its label.

Samples of one form lie side by side in one array, which NumPy reads as it is. Imports nothing of the server: apps read
samples by it too.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Array = NDArray[Any]


class Part(Struct, frozen=True, array_like=True):
    """One tensor of a sample, without the dimension of the rows."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class Form(Struct, frozen=True, array_like=True):
    inputs: tuple[Part, ...]
    label: Part


INDEX = Part("label", "int64", ())
"""A label that is an index into the manifest's labels."""


def value(shape: Sequence[int]) -> Part:
    """A label of a model without labels: a number or a list of them."""
    return Part("label", "float64", tuple(shape))


def parts_of(names: Sequence[str], arrays: Sequence[Array]) -> tuple[Part, ...]:
    return tuple(Part(name, array.dtype.name, array.shape[1:]) for name, array in zip(names, arrays, strict=True))


def row_size(parts: Sequence[Part]) -> int:
    """Bytes of one sample."""
    return _row(parts).itemsize


def pack(parts: Sequence[Part], arrays: Sequence[Array]) -> bytes:
    """All rows, one after the other."""
    rows = np.empty(arrays[0].shape[0], _row(parts))
    for part, array in zip(parts, arrays, strict=True):
        rows[part.name] = array
    return rows.tobytes()


def unpack(parts: Sequence[Part], content: bytes) -> dict[str, Array]:
    """By name, as many rows as `content` has; they cannot be written to."""
    rows = np.frombuffer(content, _row(parts))
    return {part.name: rows[part.name] for part in parts}


def split(content: bytes, size: int) -> list[bytes]:
    """The rows of what was packed."""
    return [content[at : at + size] for at in range(0, len(content), size)]


def encode_parts(parts: Sequence[Part]) -> str:
    return msgspec.json.encode(parts).decode()


def decode_parts(text: str) -> tuple[Part, ...]:
    return msgspec.json.decode(text, type=tuple[Part, ...])


def encode_form(form: Form) -> str:
    return msgspec.json.encode(form).decode()


def decode_form(text: str) -> Form:
    return msgspec.json.decode(text, type=Form)


def _row(parts: Sequence[Part]) -> np.dtype[np.void]:
    return np.dtype([(part.name, part.dtype, part.shape) for part in parts])
