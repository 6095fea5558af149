"""Sums cannot overflow, and the mean is as exact as the parameters say, or they are refused with the way out."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flip_runtime.errors import ConfigError, Rejected
from flip_update.secagg.fixed_point import total_of, vector_of, words_of
from flip_update.secagg.parameters import Parameters, most_bits

GOOD = {"devices": 50, "length": 3, "clip": 1.0, "max_weight": 1000}


def made(**changes: float) -> Parameters:
    return Parameters.checked(**{**GOOD, **changes})  # type: ignore[arg-type]


def test_as_many_bits_as_fit_are_taken() -> None:
    assert made().bits == 26
    assert made(devices=3).bits == 30
    assert made(devices=1024, max_weight=1).bits == 22


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"bits": 27}, r"bits: 50 values of 27 bits overflow a sum of 32 bits \(at most 26 for so many devices\)"),
        ({"bits": 1}, "bits: 1 is not between 2 and 31"),
        ({"max_weight": 50_000_000}, r"max_weight: 50 devices .* overflow the sum of weights \(at most 42949672 for"),
        ({"max_weight": 300_000}, r"max_weight: .* fewer than 8 bits are left .* \(at most 264208;"),
        ({"bits": 12}, "max_weight: with 12 bits and a weight of up to 1000, fewer than 8 bits"),
        ({"max_weight": 0}, "max_weight: 0 is not between 1 and"),
        ({"devices": 2}, "devices: 2 is not between 3 and 65536"),
        ({"devices": 0}, "devices: 0"),
        ({"devices": 70_000}, "devices: 70000"),
        ({"length": 0}, "length: 0"),
        ({"clip": 0.0}, "clip: 0.0"),
        ({"clip": float("nan")}, "clip: nan"),
        ({"clip": float("inf")}, "clip: inf"),
        ({"least": 51}, "least: 51 is not between 3 and 50"),
        ({"least": 2}, "least: 2"),
    ],
)
def test_parameters_that_cannot_work_are_refused_by_name_with_the_way_out(changes: dict[str, float], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        made(**changes)


@settings(deadline=None)
@given(devices=st.integers(3, 2**16))
def test_the_most_bits_are_the_most_that_do_not_overflow(devices: int) -> None:
    bits = most_bits(devices)
    assert devices * (2 ** (bits - 1) - 1) <= 2**31 - 1
    assert bits == 31 or devices * (2**bits - 1) > 2**31 - 1


@settings(deadline=None)
@given(devices=st.integers(3, 40), sign=st.sampled_from([-1.0, 1.0]), bits=st.integers(8, 26))
def test_the_largest_values_of_all_devices_do_not_overflow(devices: int, sign: float, bits: int) -> None:
    parameters = Parameters.checked(devices=devices, length=2, clip=0.3, max_weight=1, bits=bits)
    words = np.zeros(parameters.words, np.uint32)
    for _ in range(devices):
        words += words_of([np.array([sign * 0.3, sign * 1e9], np.float32)], 1, parameters)
    total = total_of(words, devices, parameters)
    assert np.abs(total.mean - np.float32(sign * 0.3)).max() <= parameters.error_bound(devices, devices)
    assert total.clipped == devices


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    devices=st.integers(3, 20),
    clip=st.floats(1e-6, 1e6),
    max_weight=st.integers(1, 1000),
    bits=st.none() | st.integers(20, 27),
    width=st.sampled_from([np.float32, np.float64]),
)
@example(seed=3, devices=3, clip=1.5, max_weight=2, bits=None, width=np.float32)  # finer levels than float32 has
def test_the_mean_is_as_exact_as_the_parameters_say(
    seed: int, devices: int, clip: float, max_weight: int, bits: int | None, width: type[np.float32 | np.float64]
) -> None:
    parameters = Parameters.checked(devices=20, length=31, clip=clip, max_weight=max_weight, bits=bits)
    chance = np.random.default_rng(seed)
    updates = chance.uniform(-clip, clip, (devices, 31)).astype(width)
    np.clip(updates, -clip, clip, out=updates)
    weights = chance.integers(1, max_weight, devices, endpoint=True)
    words = np.zeros(parameters.words, np.uint32)
    for update, weight in zip(updates, weights, strict=True):
        words += words_of([update[:7], update[7:].reshape(2, 12)], int(weight), parameters)
    total = total_of(words, devices, parameters)
    exact = (updates.astype(np.float64) * weights[:, None]).sum(axis=0) / weights.sum()
    assert (total.weight, total.devices) == (weights.sum(), devices)
    assert np.abs(total.mean - exact).max() <= parameters.error_bound(devices, total.weight)


def test_an_update_longer_than_one_block_is_whole() -> None:
    length = 2**15 + 3
    parameters = Parameters.checked(devices=3, length=length, clip=1.0, max_weight=1)
    update = np.random.default_rng(1).uniform(-1, 1, length)
    total = total_of(words_of([update], 1, parameters) * 3, 3, parameters)
    assert np.abs(total.mean - update).max() <= parameters.error_bound(3, 3)


def test_who_lost_values_to_the_clip_is_counted() -> None:
    parameters = made(clip=0.5)
    words = [words_of([np.array(values)], 2, parameters) for values in ([0.5, -0.5, 0], [0.6, 0, 0], [0, 0, -0.51])]
    total = total_of(words[0] + words[1] + words[2], 3, parameters)
    assert total.clipped == 2
    assert total.mean == pytest.approx([1.0 / 3, -0.5 / 3, -0.5 / 3], abs=1e-6)


@pytest.mark.parametrize(
    "words",
    [
        [0, 0, 0, 2, 0],
        [0, 0, 0, 3001, 0],
        [0, 0, 0, 3, 4],
        [2**31 - 1, 0, 0, 3, 0],
        [0, 2**31, 0, 3, 0],
        [200_000, 0, 0, 3, 0],
    ],
)
def test_a_sum_that_no_updates_can_have_is_refused(words: list[int]) -> None:
    with pytest.raises(Rejected, match="the sum over 3 devices is none of updates"):
        total_of(np.array(words, np.uint32), 3, made())


def test_words_are_read_in_place() -> None:
    content = memoryview(np.arange(5, dtype="<u4").tobytes())
    words = vector_of(content, made())
    assert words.tolist() == [0, 1, 2, 3, 4]
    assert not words.flags.owndata
