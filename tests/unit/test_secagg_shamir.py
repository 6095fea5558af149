"""As many shares as the threshold says make the secret, in any choice; fewer say nothing."""

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flip_runtime.errors import Rejected
from flip_update.secagg.shamir import PRIME, SECRET, SHARE, joined, split

SECRETS = st.binary(min_size=SECRET, max_size=SECRET)


def _composite(number: int, rounds: int = 40) -> bool:
    """Miller and Rabin's test."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (random.Random(turn).randrange(2, number - 1) for turn in range(rounds)):
        powers = [pow(base, odd << step, number) for step in range(twos)]
        if powers[0] != 1 and number - 1 not in powers:
            return True
    return False


def test_the_field_is_one_and_holds_every_secret() -> None:
    assert not _composite(PRIME)
    assert all(_composite(number) for number in range(2**256 + 1, PRIME, 2))
    assert 2 ** (8 * SECRET) < PRIME < 2 ** (8 * SHARE)


def test_shares_of_a_published_example_make_its_secret() -> None:
    """1234 + 166 x + 94 x^2: Wikipedia, Shamir's secret sharing. Holders are numbered from 0, points from 1."""
    points = {0: 1494, 1: 1942, 2: 2578, 3: 3402, 4: 4414, 5: 5614}
    for chosen in combinations(points, 3):
        shares = [(holder, points[holder].to_bytes(SHARE)) for holder in chosen]
        assert int.from_bytes(joined(shares)) == 1234


@settings(deadline=None)
@given(secret=SECRETS, data=st.data())
def test_any_choice_of_enough_shares_makes_the_secret(secret: bytes, data: st.DataObject) -> None:
    holders = data.draw(st.lists(st.integers(0, 2**16 - 1), min_size=2, max_size=12, unique=True))
    threshold = data.draw(st.integers(2, len(holders)))
    shares = list(zip(holders, split(secret, holders, threshold), strict=True))
    assert all(len(share) == SHARE for _, share in shares)
    chosen = data.draw(st.permutations(shares))[: data.draw(st.integers(threshold, len(shares)))]
    assert joined(chosen) == secret


@settings(deadline=None)
@given(secret=st.sampled_from([bytes(32), b"\xff" * 32, bytes(31) + b"\x01"]))
def test_secrets_at_the_ends_of_the_field_are_kept(secret: bytes) -> None:
    holders = [65535, 0, 65534]
    assert joined(list(zip(holders, split(secret, holders, 3), strict=True))) == secret


@settings(deadline=None)
@given(secret=SECRETS, other=SECRETS)
def test_fewer_shares_fit_every_secret(secret: bytes, other: bytes) -> None:
    """With one share less than needed there is, for any secret, a last share that makes it."""
    known = list(zip([1, 2], split(secret, [1, 2], 3), strict=True))
    # f(0) is `other` and f is known at two points: this is f at the third, by Lagrange's formula over 0, 2, 3
    points = {0: int.from_bytes(other), 2: int.from_bytes(known[0][1]), 3: int.from_bytes(known[1][1])}
    last = 0
    for point, value in points.items():
        for where in points.keys() - {point}:
            value = value * (4 - where) * pow(point - where, -1, PRIME) % PRIME
        last += value
    assert joined([*known, (3, (last % PRIME).to_bytes(SHARE))]) == other


def test_shares_are_drawn_anew_each_time() -> None:
    assert len({share for _ in range(50) for share in split(bytes(32), [0, 1, 2], 2)}) == 150


def test_too_few_or_wrong_shares_make_another_secret() -> None:
    secret = bytes(range(32))
    shares = list(zip(range(5), split(secret, range(5), 3), strict=True))
    for wrong in (shares[:2], [shares[0], shares[1], (2, shares[3][1])]):
        assert joined(wrong) != secret  # one of the 297 elements that are none comes up once in 2**247 times


def test_an_element_that_no_32_bytes_hold_is_no_secret() -> None:
    with pytest.raises(Rejected, match="the shares make no secret"):
        joined([(0, (2**256).to_bytes(SHARE)), (1, (2**256).to_bytes(SHARE))])


def test_two_shares_of_one_holder_are_refused() -> None:
    with pytest.raises(Rejected, match="two shares of one holder"):
        joined([(1, bytes(33)), (1, bytes(33))])
