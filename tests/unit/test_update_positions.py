"""Positions come back as they were, in about as few bits as there can be; anything else is refused."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flip_runtime.errors import Rejected
from flip_update.positions import decoded, encoded, encoded_bytes


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 3000).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, max(n - 1, 0))))))
def test_any_set_of_positions_comes_back(drawn: tuple[int, set[int]]) -> None:
    entries, chosen = drawn
    kept = np.array(sorted(each for each in chosen if each < entries), np.int64)
    content = encoded(kept, entries)
    assert len(content) == encoded_bytes(kept.size, entries)
    assert decoded(memoryview(content), kept.size, entries).tolist() == kept.tolist()


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5])
def test_a_position_takes_little_more_than_it_must(share: float) -> None:
    entries = 1_000_000
    count = int(share * entries)
    least = entries * (-share * math.log2(share) - (1 - share) * math.log2(1 - share)) / count
    assert 8 * encoded_bytes(count, entries) / count <= least + 1.01


@settings(max_examples=300, deadline=None)
@given(data=st.data(), entries=st.integers(1, 300))
def test_any_other_bytes_are_refused_or_are_positions(data: st.DataObject, entries: int) -> None:
    count = data.draw(st.integers(0, entries))
    size = encoded_bytes(count, entries)
    content = data.draw(st.binary(min_size=size, max_size=size))
    try:
        found = decoded(memoryview(content), count, entries)
    except Rejected:
        return
    assert found.size == count
    assert sorted(set(found.tolist())) == found.tolist()
    assert all(0 <= each < entries for each in found)
