"""The demo's data: every sample on one device or held back, never both, and the same for the same seed."""

from collections.abc import Callable

import numpy as np
import pytest

from flip_demo import breast_cancer, digits
from flip_demo.partition import Split


@pytest.mark.parametrize(("split", "samples"), [(digits.split, 1797), (breast_cancer.split, 569)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_sample_is_given_once(split: Callable[[int, int], Split], samples: int, seed: int) -> None:
    made = split(seed, 3)
    rows = [row.tobytes() for part in [*made.devices, made.held_back] for row in part.x]
    assert len(rows) == samples
    assert len(set(rows)) >= samples - 1  # scikit-learn's own data holds next to no duplicates
    assert len(made.held_back.y) == int(samples * 0.2)
    assert min(len(part.y) for part in made.devices) >= 40


@pytest.mark.parametrize("split", [digits.split, breast_cancer.split])
def test_a_seed_gives_the_same_split(split: Callable[[int, int], Split]) -> None:
    first, again, other = split(0, 3), split(0, 3), split(1, 3)
    assert all(np.array_equal(a.x, b.x) for a, b in zip(first.devices, again.devices, strict=True))
    assert not np.array_equal(first.held_back.x, other.held_back.x)


def test_devices_see_different_classes() -> None:
    shares = [np.bincount(part.y, minlength=10) / len(part.y) for part in digits.split(0, 3).devices]
    assert max(abs(a - b).max() for a in shares for b in shares) > 0.1


def test_what_a_model_is_fed_is_float32_in_range() -> None:
    part = digits.split(0, 3).held_back
    assert (part.x.dtype, part.x.shape[1:], part.y.dtype) == (np.float32, (1, 8, 8), np.int64)
    assert (part.x.min(), part.x.max()) == (0.0, 1.0)


def test_too_many_devices_for_the_data_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        breast_cancer.split(0, 20)
