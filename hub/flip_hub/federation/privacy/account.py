"""What releases cost together: exact, and without any credit for chance.

Gaussian releases one after another, each chosen by what the ones before showed, are together as one whose multiplier is
(sum of 1/z^2)^-1/2 (Dong, Roth, Su 2022, "Gaussian differential privacy", corollary 3.3). Its epsilon for delta is that
of Balle and Wang 2018 (arXiv:1805.06530), as dp-accounting computes it. Rényi accounting gives 6 % more for the same.
No sampling is credited: who takes part is decided by the devices too, and no secret (`docs/decisions/45-privacy.md`).

dp-accounting brings SciPy, 80 MB: it is imported by whoever asks, and not before.
"""

import math
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Protocol, cast

from flip_hub.federation.privacy.schemas import Release


class _Gaussian(Protocol):
    """As much of dp-accounting as is used here; it has no types of its own."""

    def get_epsilon_gaussian(self, sigma: float, delta: float) -> float: ...
    def get_sigma_gaussian(self, epsilon: float, delta: float) -> float: ...


def epsilon_of(releases: Iterable[Release], delta: float) -> float:
    """0 for none."""
    precision = _precision(releases)
    if not precision:
        return 0.0
    with _gaussian() as gaussian:
        return float(gaussian.get_epsilon_gaussian(precision**-0.5, delta))


def multiplier_within(budget: float, delta: float, rounds: int, before: Iterable[Release] = ()) -> float | None:
    """The least noise multiplier with which so many further releases stay within the budget; None when no noise does,
    for those before have used it up."""
    left = _left(budget, delta, before)
    return math.sqrt(rounds / left) if left > 0 else None


def rounds_within(budget: float, delta: float, multiplier: float, before: Iterable[Release] = ()) -> int:
    """How many further releases with that multiplier stay within the budget."""
    before = list(before)
    rounds = max(0, math.floor(min(_left(budget, delta, before) * multiplier**2 + 1, 2.0**53)))
    while rounds and epsilon_of(plus(before, multiplier, rounds), delta) > budget:
        rounds -= 1  # once, or twice where a number was rounded up
    return rounds


def plus(releases: Sequence[Release], multiplier: float, times: int = 1) -> list[Release]:
    """Those and so many more; one entry for each multiplier."""
    counts = {each.noise_multiplier: each.times for each in releases}
    counts[multiplier] = counts.get(multiplier, 0) + times
    return [Release(noise_multiplier=each, times=count) for each, count in counts.items() if count]


def _left(budget: float, delta: float, before: Iterable[Release]) -> float:
    """Of the budget, as 1/z^2."""
    with _gaussian() as gaussian:
        return float(gaussian.get_sigma_gaussian(budget, delta)) ** -2 - _precision(before)


def _precision(releases: Iterable[Release]) -> float:
    return math.fsum(each.times / each.noise_multiplier**2 for each in releases)


@contextmanager
def _gaussian() -> Generator[_Gaussian]:
    import dp_accounting  # pyright: ignore[reportMissingTypeStubs]
    import numpy as np

    with np.errstate(divide="ignore"):  # a difference too small for a float, where epsilon is out of all bounds
        yield cast(_Gaussian, dp_accounting)
