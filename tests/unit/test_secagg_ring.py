"""Who masks with whom, and how many of them must stay: enough for what may drop out and collude, or it says so."""

import random
from math import comb

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flip_runtime.errors import Rejected
from flip_update.secagg.ring import Ring, fitting

SIZES = st.integers(3, 200)


@settings(deadline=None)
@given(size=SIZES, dropout=st.floats(0, 0.5), colluding=st.floats(0, 0.4))
def test_each_is_a_neighbour_of_its_neighbours_and_has_as_many_as_it_says(
    size: int, dropout: float, colluding: float
) -> None:
    try:
        ring = fitting(size, dropout, colluding)
    except Rejected:
        assume(False)
        raise
    ring.check()
    near = [ring.neighbours(number) for number in range(size)]
    assert all(len(set(each)) == ring.degree and each == sorted(each) for each in near)
    assert all(number in near[other] and other != number for number in range(size) for other in near[number])


@settings(deadline=None)
@given(size=st.integers(3, 60), dropout=st.floats(0, 0.4), colluding=st.floats(0, 0.3), seed=st.integers(0, 9))
def test_what_is_left_holds_together_and_accomplices_are_fewer_than_the_threshold(
    size: int, dropout: float, colluding: float, seed: int
) -> None:
    try:
        ring = fitting(size, dropout, colluding)
    except Rejected:
        assume(False)
        raise
    circle = random.Random(seed).sample(range(size), size)
    dropped = set(circle[: int(size * dropout)])
    accomplices = set(circle[len(dropped) : len(dropped) + max(1, int(size * colluding))])
    honest = set(circle) - dropped - accomplices
    for number in honest:
        near = set(ring.neighbours(number))
        assert len(near - dropped) >= ring.threshold
        assert len(near & accomplices) < ring.threshold
    assert _reached(ring, honest) == honest


def _reached(ring: Ring, among: set[int]) -> set[int]:
    start = min(among)
    found, look = {start}, [start]
    while look:
        for other in ring.neighbours(look.pop()):
            if other in among and other not in found:
                found.add(other)
                look.append(other)
    return found


@pytest.mark.parametrize(
    ("size", "dropout", "colluding", "degree", "threshold"),
    [(3, 0.0, 0.1, 2, 2), (5, 0.2, 0.1, 4, 3), (50, 0.1, 0.1, 12, 7), (50, 0.2, 0.1, 22, 12), (1000, 0.1, 0.1, 46, 26)],
)
def test_rings_have_as_few_neighbours_as_that_takes(
    size: int, dropout: float, colluding: float, degree: int, threshold: int
) -> None:
    assert fitting(size, dropout, colluding) == Ring(size=size, degree=degree, threshold=threshold)


def test_the_chances_of_a_large_ring_are_as_small_as_promised() -> None:
    """In exact numbers: 1,000 devices of which 100 drop out and 100 collude."""
    ring = fitting(1000, 0.1, 0.1)

    def at_least(marked: int) -> float:
        ways = sum(comb(100, n) * comb(899, ring.degree - n) for n in range(marked, ring.degree + 1))
        return 1000 * ways / comb(999, ring.degree)

    assert at_least(ring.degree - ring.threshold + 1) <= 2.0**-20
    assert at_least(ring.threshold) <= 2.0**-40


@pytest.mark.parametrize(
    ("size", "dropout", "colluding"), [(3, 0.34, 0.0), (2, 0.0, 0.0), (50, 0.5, 0.1), (65536, 0.6, 0.4)]
)
def test_what_no_ring_bears_is_refused(size: int, dropout: float, colluding: float) -> None:
    with pytest.raises(Rejected, match="more devices, or smaller shares"):
        fitting(size, dropout, colluding)


@pytest.mark.parametrize("ring", [(9, 9, 6), (9, 5, 4), (9, 4, 2), (9, 4, 5), (4, 8, 5)])
def test_rings_that_no_hub_would_draw_are_refused(ring: tuple[int, int, int]) -> None:
    size, degree, threshold = ring
    with pytest.raises(Rejected):
        Ring(size=size, degree=degree, threshold=threshold).check()
