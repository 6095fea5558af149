"""What feedback says of a model version: to whom it is told, and in which form it is asked for."""

from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from flip_agent.inference.tensors import Array

Judged = Callable[[str, int, bool], None]
"""`judged(model, version, correct)`: called on the event loop, once for each prediction whose truth became known and is
on the disk. Feedback that replaces an earlier one is not told again. Models without labels are never judged."""


class Labelled(Struct, frozen=True, kw_only=True):
    """Samples of a model with labels, oldest first; empty arrays when there are none."""

    inputs: dict[str, Array]
    """By the model's input; the first dimension is the number of samples."""
    labels: NDArray[np.int64]
    """Indices into the manifest's labels."""
