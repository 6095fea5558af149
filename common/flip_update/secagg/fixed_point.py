"""Values as words of 32 bits, and the mean from the sum of such words."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flip_runtime.errors import Rejected
from flip_update.secagg.parameters import Parameters

Words = NDArray[np.uint32]
Array = NDArray[np.float32] | NDArray[np.float64]
"""Of an update; its shape does not matter."""
WORD: Final = np.dtype("<u4")
"""On the wire."""
_AT_ONCE: Final = 2**15
"""Values: in float64 they stay in the processor's cache, and a large model needs no second copy of that width."""


class Total(NamedTuple):
    """What the hub learns of a round."""

    mean: NDArray[np.float32]
    """Weighted, in one dimension; within `Parameters.error_bound(devices, weight)` of the exact one."""
    weight: int
    """The sum of the weights."""
    devices: int
    clipped: int
    """How many devices had values beyond `clip`; then the mean is that of the clipped values."""


def words_of(update: Sequence[Array], weight: int, parameters: Parameters) -> Words:
    """The update times its weight, the weight, and whether anything was clipped.

    The product is rounded, not the value: the sum then needs no room for the weights, and has the finer levels.
    Raises `Rejected` for a weight out of range, arrays of another kind or size, or values that are not finite.
    """
    _refuse_foreign(update, weight, parameters)
    words = np.empty(parameters.words, np.uint32)
    numbers = words[: parameters.length].view(np.int32)
    low, high, done = 0.0, 0.0, 0
    for array in update:
        if array.size:
            low, high = _wider(low, high, array)
            clips = low < -parameters.clip or high > parameters.clip
            _quantise(array.reshape(-1), weight, parameters, numbers[done : done + array.size], clips=clips)
            done += array.size
    words[-2], words[-1] = weight, low < -parameters.clip or high > parameters.clip
    return words


def _wider(low: float, high: float, array: Array) -> tuple[float, float]:
    """The range of values, this array's included."""
    least, most = array.min(), array.max()
    if not (np.isfinite(least) and np.isfinite(most)):
        raise Rejected("the update has values that are not finite", hint="training has diverged")
    return min(low, float(least)), max(high, float(most))


def _quantise(values: Array, weight: int, parameters: Parameters, out: NDArray[np.int32], *, clips: bool) -> None:
    """In float64 throughout: a product of float32 has coarser steps than the levels."""
    factor, most = parameters.scale * weight, parameters.levels * weight / parameters.max_weight
    product = np.empty(min(_AT_ONCE, values.size))
    for start in range(0, values.size, _AT_ONCE):
        part = product[: min(_AT_ONCE, values.size - start)]
        with np.errstate(over="ignore"):  # to an infinite one, which is cut
            np.multiply(values[start : start + part.size], factor, out=part, dtype=np.float64)
        if clips:
            np.clip(part, -most, most, out=part)
        np.rint(part, out=part)
        out[start : start + part.size] = part


def total_of(words: Words, devices: int, parameters: Parameters) -> Total:
    """From the sum of the words of so many devices, all masks removed.

    Raises `Rejected` when it is no such sum: somebody has sent words that are no update, or has masked otherwise.
    """
    weight, clipped = int(words[-2]), int(words[-1])
    numbers = words[:-2].view(np.int32)
    most = parameters.levels * (weight / parameters.max_weight) + devices / 2 + 1
    if (
        not devices <= weight <= devices * parameters.max_weight
        or clipped > devices
        or not -most <= int(numbers.min()) <= int(numbers.max()) <= most
    ):
        raise Rejected(
            f"the sum over {devices} devices is none of updates",
            hint="one of them has sent something else; which one cannot be told",
        )
    mean = np.empty(parameters.length, np.float32)
    np.multiply(numbers, 1 / (parameters.scale * weight), out=mean, dtype=np.float64, casting="same_kind")
    return Total(mean, weight, devices, clipped)


def vector_of(content: memoryview, parameters: Parameters) -> Words:
    """Without a copy. Raises `Rejected` for another length."""
    if len(content) != parameters.words * WORD.itemsize:
        raise Rejected(f"a masked vector of {len(content)} bytes instead of {parameters.words * WORD.itemsize}")
    return np.frombuffer(content, WORD).astype(np.uint32, copy=False)


def _refuse_foreign(update: Sequence[Array], weight: int, parameters: Parameters) -> None:
    if not 1 <= weight <= parameters.max_weight:  # which one is the device's own affair: the hub hears the reason
        raise Rejected(f"a weight that is not between 1 and {parameters.max_weight} (max_weight)")
    if (size := sum(array.size for array in update)) != parameters.length:
        raise Rejected(f"an update of {size} values instead of {parameters.length}")
    for array in update:
        if array.dtype.name not in ("float32", "float64"):
            raise Rejected(f"an array of {array.dtype} in the update", hint="float32 or float64")
