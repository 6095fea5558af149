"""Gaussian noise that nobody can compute again: from the kernel's generator, by Box and Muller's transform.

NumPy's generators are not for secrets: the state of the Mersenne Twister follows from 624 of its outputs, and apps seed
it. Here nothing is seeded and nothing is kept. A number is at most 9.4 standard deviations, which a Gaussian one passes
once in 10^20. Sums are rounded to the array's own type, so the lowest bits of a float are no Gaussian's (Mironov 2012).
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PIECE = 131_072
"""Numbers that are drawn at a time: 1 MiB of randomness."""


def with_noise(array: NDArray[Any], stddev: float) -> NDArray[Any]:
    """A new array of the same shape and floating-point type."""
    noised = np.array(array, order="C")
    flat = noised.reshape(-1)
    for begin in range(0, flat.size, _PIECE):
        piece = flat[begin : begin + _PIECE]
        piece[...] = piece + stddev * standard_normal(piece.size)
    return noised


def standard_normal(count: int) -> NDArray[np.float64]:
    pairs = (count + 1) // 2
    uniform = np.frombuffer(os.urandom(16 * pairs), dtype=np.uint64).reshape(2, pairs)
    radius = np.sqrt(-2.0 * np.log((uniform[0] + 1.0) * 2.0**-64))  # of a number in (0, 1]
    angle = uniform[1] * (2.0**-64 * 2.0 * np.pi)
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
