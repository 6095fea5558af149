"""A late contribution moves the current model by what the device changed in its base, with less weight."""

import numpy as np
import pytest

from flip_hub.federation.aggregator.strategies.folding import discount, folded
from flip_hub.federation.aggregator.strategies.refusals import refusal


def test_the_weight_falls_with_the_staleness_by_the_exponent() -> None:
    assert discount(0, 0.5) == 1.0
    assert discount(3, 0.5) == pytest.approx(0.5)
    assert discount(3, 0.0) == 1.0
    assert discount(1, 2.0) == pytest.approx(0.25)


def test_a_contribution_that_is_not_late_stays_as_it_is() -> None:
    arrays = {"w": np.array([1.5, 2.5], "f4")}
    found = folded(arrays, {"w": np.zeros(2, "f4")}, {"w": np.ones(2, "f4")}, 0, 0.5)
    assert found.discount == 1.0
    assert found.arrays["w"] is arrays["w"]


def test_a_late_one_moves_the_current_model_by_its_change() -> None:
    arrays = {"w": np.array([1.5, 2.5], "f4"), "steps": np.array(30)}
    base = {"w": np.array([1.0, 1.0], "f4"), "steps": np.array(20.0)}
    current = {"w": np.array([10.0, 20.0], "f4"), "steps": np.array(25.0)}
    found = folded(arrays, base, current, 3, 0.5)
    assert found.discount == pytest.approx(0.5)
    assert found.arrays["w"].dtype == np.float32
    assert found.arrays["w"].tolist() == [10.5, 21.5]
    assert found.arrays["steps"] == 35.0
    assert refusal(found.arrays, current) == ""


def test_it_has_the_type_of_the_model_which_a_strategy_may_have_widened() -> None:
    arrays, base, current = {"w": np.full(2, 3, "f4")}, {"w": np.ones(2, "f4")}, {"w": np.ones(2, "f8")}
    found = folded(arrays, base, current, 1, 0.5).arrays
    assert (found["w"].dtype, found["w"].tolist()) == (np.float64, [3.0, 3.0])
    assert refusal(found, current) == ""


def test_unsigned_numbers_do_not_wrap_around() -> None:
    small, large = {"n": np.array([3], "u1")}, {"n": np.array([200], "u1")}
    assert folded(small, large, large, 1, 0.5).arrays["n"].tolist() == [3.0]


def test_what_is_given_is_not_written_to() -> None:
    arrays, base, current = ({"w": np.full(3, value, "f4")} for value in (1, 2, 3))
    for each in (arrays, base, current):
        each["w"].flags.writeable = False
    assert folded(arrays, base, current, 2, 0.5).arrays["w"].tolist() == [2.0, 2.0, 2.0]
