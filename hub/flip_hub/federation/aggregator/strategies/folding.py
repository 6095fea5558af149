"""A late contribution, made so that a synchronous strategy that takes it as an ordinary reply does as FedBuff would."""

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from flip_hub.federation.aggregator.strategies.tensors import Arrays, mean_dtype


class Folded(Struct, frozen=True):
    arrays: dict[str, NDArray[Any]]
    """x_t + (x_i - x_b): what the device changed in its base, on top of the current model."""
    discount: float
    """Times its samples: its weight."""


def discount(staleness: int, exponent: float) -> float:
    """(1+s)^-a, of an update whose base is s steps old (Nguyen et al., arXiv:2106.06639, with a = 1/2)."""
    return (1.0 + staleness) ** -exponent


def folded(arrays: Arrays, base: Arrays, current: Arrays, staleness: int, exponent: float) -> Folded:
    """All three have the same names and shapes; `staleness` is how many rounds late it is.

    A contribution that is not late (its base is the current model) is given back as it is, to the last bit. FedBuff
    divides by the samples of all, a strategy that is given the discounted weight by the sum of those: so a late
    contribution counts a little more here, and the others with it.
    """
    if staleness == 0:
        return Folded(dict(arrays), 1.0)
    moved = {name: _moved(array, base[name], current[name]) for name, array in arrays.items()}
    return Folded(moved, discount(staleness, exponent))


def _moved(array: NDArray[Any], base: NDArray[Any], current: NDArray[Any]) -> NDArray[Any]:
    """In the type that the model's mean has, which a strategy may have widened meanwhile: a difference of unsigned
    numbers would wrap around."""
    dtype = mean_dtype(current.dtype)
    change = np.subtract(array, base, dtype=dtype, out=np.empty_like(array, dtype=dtype, subok=False))
    return np.add(current, change, dtype=dtype, out=change)
