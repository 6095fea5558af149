"""Noise is Gaussian, in the type of what it hides, and nobody's seed gives it again."""

import math
import random
from statistics import NormalDist

import numpy as np
import pytest

from flip_update.noise import standard_normal, with_noise


def test_it_is_standard_normal() -> None:
    """By Kolmogorov and Smirnov: a sound generator fails once in 10^9."""
    count = 200_001
    numbers = np.sort(standard_normal(count))
    assert len(numbers) == count
    places = np.linspace(0, count - 1, 5_000).astype(int)
    expected = np.array([NormalDist().cdf(float(each)) for each in numbers[places]])
    distance = np.abs(expected - (places + 0.5) / count).max()
    assert distance < math.sqrt(math.log(2e9) / (2 * count)) + 1 / count


def test_neighbours_are_independent() -> None:
    numbers = standard_normal(400_000)
    for apart in (1, 2, 200_000):
        product = float(np.mean(numbers[:-apart] * numbers[apart:]))
        assert abs(product) < 6.2 / math.sqrt(len(numbers) - apart)
    assert abs(float(np.mean(numbers[:200_000] ** 2 * numbers[200_000:] ** 2)) - 1) < 0.06  # of one radius


def test_a_seed_does_not_bring_it_back() -> None:
    noised: list[float] = []
    for _ in range(2):
        random.seed(7)
        np.random.seed(7)
        noised.append(float(with_noise(np.zeros(1), 1.0)[0]))
    assert noised[0] != noised[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 5), (400_001,)])
def test_the_array_keeps_its_type_and_shape_and_the_one_given_its_values(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.full(shape, 2, dtype)
    array.flags.writeable = False
    noised = with_noise(array, 0.5)
    assert (noised.dtype, noised.shape) == (array.dtype, array.shape)
    assert (array == 2).all()
    assert np.count_nonzero(noised == array) <= 3, "a noise so small that 32 bits do not show it is rare"
    if array.size > 1_000:
        assert float(noised.std()) == pytest.approx(0.5, rel=0.01)
        assert float(noised.mean()) == pytest.approx(2.0, abs=0.01)
