"""Secrets of 32 bytes shared so that `threshold` holders can put them together, and fewer know nothing (Shamir 1979).

The field's order is the smallest prime above 2**256. A holder's share is the value of a random polynomial, whose
constant is the secret, at the holder's number plus one.
"""

import os
from collections.abc import Sequence
from typing import Final

from flip_runtime.errors import Rejected

PRIME: Final = 2**256 + 297
SECRET: Final = 32
SHARE: Final = 33
"""Bytes, big-endian."""
_WIDE: Final = 48


def split(secret: bytes, holders: Sequence[int], threshold: int) -> list[bytes]:
    """A share for each holder, in order. The work does not depend on the secret, Python's big integers aside."""
    coefficients = [*_random(threshold - 1), int.from_bytes(secret)]
    return [_value(coefficients, holder + 1).to_bytes(SHARE) for holder in holders]


def joined(shares: Sequence[tuple[int, bytes]]) -> bytes:
    """The secret, from as many holders' shares as the threshold says. Raises `Rejected` when they make none.

    Lagrange's interpolation at zero. The fractions are added with one common denominator: one inversion instead of one
    for each share.
    """
    points = [holder + 1 for holder, _ in shares]
    if len(set(points)) != len(points):
        raise Rejected("two shares of one holder")
    total, denominator = 0, 1
    for point, (_, share) in zip(points, shares, strict=True):
        above, below = _weight(point, points)
        total = total * below + int.from_bytes(share) * above * denominator
        denominator *= below
    secret = total * pow(denominator, -1, PRIME) % PRIME
    if secret >> (8 * SECRET):
        raise Rejected("the shares make no secret")
    return secret.to_bytes(SECRET)


def _random(count: int) -> list[int]:
    """Uniform up to 2**-127: from 16 bytes more than the prime has."""
    drawn = os.urandom(count * _WIDE)
    return [int.from_bytes(drawn[start : start + _WIDE]) % PRIME for start in range(0, len(drawn), _WIDE)]


def _value(coefficients: Sequence[int], point: int) -> int:
    """Horner's rule; the point is small, so that the remainder is taken once, at the end."""
    value = 0
    for coefficient in coefficients:
        value = value * point + coefficient
    return value % PRIME


def _weight(point: int, points: Sequence[int]) -> tuple[int, int]:
    """Of a share, as a fraction."""
    above, below = 1, 1
    for other in points:
        if other != point:
            above *= other
            below *= other - point
    return above, below
