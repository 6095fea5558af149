"""The arrays that an update is a difference from: their names, shapes and types bound what may come in its place.

Entries of floating point are one flat row, in the order of the arrays; all other arrays travel whole.
"""

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flip_runtime.errors import Rejected

Arrays = Mapping[str, NDArray[Any]]
Row = NDArray[np.float32]
"""Flat, one value for each entry of floating point."""

_KINDS = "fiub"
"""NumPy's: floating point, integers with and without sign, truth values."""


class Base:
    """Made once for all updates that are differences from it; `arrays` must not change meanwhile."""

    def __init__(self, arrays: Arrays) -> None:
        """Raises `Rejected` for arrays that are not of numbers, or of a width that this machine alone has."""
        for name, array in arrays.items():
            if array.dtype.kind not in _KINDS or array.dtype.itemsize > 8:
                raise Rejected(f"array {name[:80]!r} is of {array.dtype}", hint="send it as the app gives it: float")
        self.arrays = arrays
        self.inexact = {name: array for name, array in arrays.items() if array.dtype.kind == "f"}
        """Of floating point."""
        self.exact = {name: array for name, array in arrays.items() if array.dtype.kind != "f"}
        self.sizes = np.array([array.size for array in self.inexact.values()], np.int64)
        self.entries = int(self.sizes.sum())
        self.exact_bytes = sum(array.nbytes for array in self.exact.values())
        self.layout = zlib.crc32(repr([(name, a.shape, a.dtype.str) for name, a in arrays.items()]).encode())
        """CRC-32 over names, shapes and types."""
        self.fingerprint = self._fingerprint()

    def check(self, arrays: Arrays) -> None:
        """Raises `Rejected`, which names the array, unless these have the same names, shapes and types."""
        if missing := [name for name in self.arrays if name not in arrays]:
            raise Rejected(f"array {missing[0][:80]!r} is missing")
        for name, array in arrays.items():
            mine = self.arrays.get(name)
            if mine is None:
                raise Rejected(f"array {name[:80]!r} is not among those of the instruction")
            if (array.shape, array.dtype) != (mine.shape, mine.dtype):
                raise Rejected(
                    f"array {name[:80]!r} is {array.dtype} of {array.shape}, not {mine.dtype} of {mine.shape}"
                )

    def difference(self, arrays: Arrays) -> Row:
        """Of the entries of floating point. Raises `Rejected` that names the array where it is not a finite float32."""
        row = np.empty(self.entries, np.float32)
        for name, part in self._parts(row).items():
            with np.errstate(over="ignore", invalid="ignore"):
                part[:] = (_wide(arrays[name]) - _wide(self.inexact[name])).ravel()
            if not np.isfinite(part).all():
                raise Rejected(f"array {name[:80]!r} has entries that are not finite", hint="training has diverged")
        return row

    def plus(self, row: Row) -> dict[str, NDArray[Any]]:
        """The inexact arrays with `row` added, in their own types. Raises `Rejected` for what is not finite then."""
        arrays: dict[str, NDArray[Any]] = {}
        for name, part in self._parts(row).items():
            mine = self.inexact[name]
            with np.errstate(over="ignore", invalid="ignore"):
                arrays[name] = np.asarray(_wide(mine) + part.reshape(mine.shape), mine.dtype)
            if not np.isfinite(arrays[name]).all():
                raise Rejected(f"array {name[:80]!r} has entries that are not finite")
        return arrays

    def exact_of(self, arrays: Arrays) -> bytes:
        return b"".join(np.ascontiguousarray(arrays[name]).tobytes() for name in self.exact)

    def exact_from(self, content: memoryview) -> dict[str, NDArray[Any]]:
        """`content` has `exact_bytes`. Raises `Rejected` for truth values that are none."""
        arrays: dict[str, NDArray[Any]] = {}
        for name, mine in self.exact.items():
            part, content = content[: mine.nbytes], content[mine.nbytes :]
            if mine.dtype.kind == "b" and (np.frombuffer(part, np.uint8) > 1).any():
                raise Rejected(f"array {name[:80]!r} has truth values that are none")
            arrays[name] = np.frombuffer(part, mine.dtype).reshape(mine.shape).copy()
        return arrays

    def _parts(self, row: Row) -> dict[str, Row]:
        """Views of `row`."""
        ends = np.cumsum(self.sizes)[:-1]
        return dict(zip(self.inexact, np.split(row, ends), strict=True)) if self.inexact else {}

    def _fingerprint(self) -> int:
        """CRC-32 over layout and contents: an update that was made against other arrays is found out."""
        found = self.layout
        for array in self.arrays.values():
            found = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, found)
        return found


def _wide(array: NDArray[Any]) -> NDArray[Any]:
    """Of at least 32 bits: halves are not computed with."""
    return array.astype(np.float32 if array.dtype.itemsize < 4 else array.dtype, copy=False)
