"""Which entries were kept, as Elias and Fano wrote rising numbers: about 2 + log2(1/share) bits for each.

The lower bits of each position stand as they are; the upper ones are a row of bits in which the i-th one stands at
i plus the upper part of the i-th position. (P. Elias, Efficient storage and retrieval by content and address of static
files, J. ACM 21, 1974.)
"""

import numpy as np
from numpy.typing import NDArray

from flip_runtime.errors import Rejected

Positions = NDArray[np.int64]
"""Rising, from 0, each below the number of entries."""


def encoded(positions: Positions, entries: int) -> bytes:
    low = _low_bits(positions.size, entries)
    lower = np.empty((positions.size, low), np.uint8)
    for bit in range(low):
        lower[:, bit] = (positions >> bit) & 1
    upper = np.zeros(_upper_bits(positions.size, entries), np.uint8)
    upper[(positions >> low) + np.arange(positions.size)] = 1
    return np.packbits(lower).tobytes() + np.packbits(upper).tobytes()


def decoded(content: memoryview, count: int, entries: int) -> Positions:
    """`content` has `encoded_bytes(count, entries)`. Raises `Rejected` unless it is of `count` rising positions."""
    low = _low_bits(count, entries)
    split = (count * low + 7) // 8
    upper = np.flatnonzero(_bits(content[split:], _upper_bits(count, entries)))
    if upper.size != count:
        raise Rejected("the update's positions are not as many as it says")
    lower = _bits(content[:split], count * low).reshape(count, low)
    positions = (upper - np.arange(count)) << low
    for bit in range(low):
        positions |= lower[:, bit].astype(np.int64) << bit
    if count and (positions[-1] >= entries or not (np.diff(positions) > 0).all()):
        raise Rejected("the update's positions do not rise, or leave the model")
    return positions


def encoded_bytes(count: int, entries: int) -> int:
    return (count * _low_bits(count, entries) + 7) // 8 + (_upper_bits(count, entries) + 7) // 8


def _low_bits(count: int, entries: int) -> int:
    return max(0, (entries // max(count, 1)).bit_length() - 1)


def _upper_bits(count: int, entries: int) -> int:
    return count + (max(entries - 1, 0) >> _low_bits(count, entries)) + 1


def _bits(content: memoryview, count: int) -> NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(content, np.uint8), count=count)
