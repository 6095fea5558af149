"""Patterns say which arrays stay on a device; those that say nothing of worth are refused with the names there are."""

import pytest

from flip_runtime.errors import Rejected
from flip_update.local_parts import split

MODEL = {"body.0.weight": 1, "body.0.bias": 2, "norm.mean": 3, "head.weight": 4, "head.bias": 5}


def test_arrays_whose_names_match_are_local_and_all_keep_their_order() -> None:
    shared, local = split(MODEL, ["head.*", "norm.mean"])
    assert list(shared) == ["body.0.weight", "body.0.bias"]
    assert list(local) == ["norm.mean", "head.weight", "head.bias"]


def test_without_patterns_nothing_is_local() -> None:
    assert split(MODEL, []) == (MODEL, {})


def test_a_pattern_that_matches_nothing_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(Rejected, match=r"called 'haed\.\*' \(there are body\.0\.weight, .*head\.bias\)"):
        split(MODEL, ["head.*", "haed.*"])


def test_patterns_that_leave_nothing_to_share_are_refused_with_the_names() -> None:
    with pytest.raises(Rejected, match=r"all arrays of the model would stay local: body\.0\.weight"):
        split(MODEL, ["*"])


def test_of_many_names_the_first_are_told() -> None:
    with pytest.raises(Rejected, match="n9 and 90 more"):
        split({f"n{number}": 0 for number in range(100)}, ["x"])


def test_names_are_told_apart_by_case() -> None:
    with pytest.raises(Rejected):
        split(MODEL, ["HEAD.*"])
