"""Numbers in 8 or 4 bits, with one scale for each block of entries.

An entry is its scale times a whole number of at most `levels`; the scale is that of the block's largest entry, so
that none is cut off. A scale is the upper half of a float32 (eight bits of mantissa), rounded up: half the bytes, and
the whole range.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from flip_runtime.errors import Rejected

Row = NDArray[np.float32]
Starts = NDArray[np.int64]
"""Where each block begins."""

LEVELS: Final = {8: 127, 4: 7}
"""By the bits of an entry."""
BLOCKS: Final = {8: 256, 4: 64}
"""Entries that share a scale at most: then scales add 2 bytes to 256 and to 32."""
SCALE = np.dtype("<u2")
_NIBBLE_ZERO = 8
"""Added to a number of 4 bits, which is then never negative."""
_HALF = 16
_LARGEST = np.float32(2.0**120)
"""Of a scale: times any number it is finite."""


def starts_of(sizes: NDArray[np.int64], bits: int) -> Starts:
    """No block crosses from one array to the next: their entries are of different magnitude."""
    length = BLOCKS[bits]
    ends = np.cumsum(sizes)
    blocks = -(-sizes // length)
    within = np.arange(int(blocks.sum()), dtype=np.int64) - np.repeat(np.cumsum(blocks) - blocks, blocks)
    return np.repeat(ends - sizes, blocks) + within * length


def quantised(row: Row, starts: Starts, bits: int) -> tuple[NDArray[np.uint16], NDArray[np.int8]]:
    """Scales and numbers. Raises `Rejected` for entries beyond 2**120."""
    if not row.size:
        return np.empty(0, np.uint16), np.empty(0, np.int8)
    levels = np.float32(LEVELS[bits])
    largest = np.maximum.reduceat(np.abs(row), starts) / levels
    if not (largest < _LARGEST).all():
        raise Rejected("the update has entries that are too large to be quantised", hint="training has diverged")
    scales = ((largest.view(np.uint32) + np.uint32(2**_HALF - 1)) >> _HALF).astype(np.uint16)
    wide = _spread(_scales(scales), starts, row.size)
    numbers = np.divide(row, wide, out=np.zeros_like(row), where=wide > 0)
    return scales, np.clip(np.rint(numbers), -levels, levels).astype(np.int8)


def restored(scales: NDArray[np.uint16], numbers: NDArray[np.int8], starts: Starts) -> Row:
    """The entries. Raises `Rejected` for scales that are negative, infinite or no numbers."""
    values = _scales(scales)
    if not ((values >= 0) & (values < _LARGEST)).all() or (scales >> 15).any():
        raise Rejected("the update has scales that are no finite positive numbers")
    row = numbers.astype(np.float32)
    row *= _spread(values, starts, row.size)
    return row


def packed(numbers: NDArray[np.int8], bits: int) -> bytes:
    """Two numbers of 4 bits a byte, the first in the lower half; one more is filled up with zero."""
    if bits == 8:
        return numbers.tobytes()
    nibbles = np.full(numbers.size + numbers.size % 2, _NIBBLE_ZERO, np.uint8)
    nibbles[: numbers.size] = numbers + _NIBBLE_ZERO
    return (nibbles[::2] | (nibbles[1::2] << 4)).tobytes()


def unpacked(content: memoryview, count: int, bits: int) -> NDArray[np.int8]:
    """`content` has `packed_bytes(count, bits)`."""
    if bits == 8:
        return np.frombuffer(content, np.int8)
    pairs = np.frombuffer(content, np.uint8)
    nibbles = np.empty(pairs.size * 2, np.int8)
    nibbles[::2] = pairs & 15
    nibbles[1::2] = pairs >> 4
    return nibbles[:count] - np.int8(_NIBBLE_ZERO)


def packed_bytes(count: int, bits: int) -> int:
    return (count * bits + 7) // 8


def _scales(upper: NDArray[np.uint16]) -> Row:
    return (upper.astype(np.uint32) << _HALF).view(np.float32)


def _spread(scales: Row, starts: Starts, size: int) -> Row:
    """One for each entry."""
    return np.repeat(scales, np.diff(starts, append=size))
