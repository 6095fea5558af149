"""Who masks with whom: devices in a circle, each with its nearest on both sides.

Such a graph (Harary's) holds together unless as many devices as it has edges at each are taken out of it. The hub
draws the places in the circle, so that whoever drops out or colludes lies at random.
"""

from functools import lru_cache
from math import comb, exp, lgamma, log
from typing import Annotated, Final

from msgspec import Meta, Struct

from flip_runtime.errors import Rejected
from flip_update.secagg.parameters import FEWEST, MOST

_PRIVACY: Final = 40
"""Bits: the chance that colluding devices lie so that the hub could learn one update is at most 2**-40 a round."""
_FAILURE: Final = 20
"""Bits: the chance that as many drop out as expected, and lie so that the round fails, is at most 2**-20."""


class Ring(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    size: Annotated[int, Meta(ge=FEWEST, le=MOST)]
    """Devices, numbered from 0."""
    degree: Annotated[int, Meta(ge=2, lt=MOST)]
    """Neighbours of each: an even number, or all others."""
    threshold: Annotated[int, Meta(ge=2, lt=MOST)]
    """Neighbours of a device that must be there at the end."""

    def check(self) -> None:
        """Raises `Rejected` for a graph in which a hub could have both secrets of one device.

        It could ask one half of the neighbours for the one, and the others for the other: so more than half are needed.
        """
        if not self.degree < self.size or (self.degree % 2 and self.degree != self.size - 1):
            raise Rejected(f"no {self.size} devices can have {self.degree} neighbours each")
        if not self.degree < 2 * self.threshold <= 2 * self.degree:
            raise Rejected(f"a threshold of {self.threshold} for {self.degree} neighbours", hint="more than half")

    def neighbours(self, number: int) -> list[int]:
        if self.degree == self.size - 1:
            return [other for other in range(self.size) if other != number]
        near = range(1, self.degree // 2 + 1)
        return sorted((number + step) % self.size for side in (1, -1) for step in (side * far for far in near))


@lru_cache(maxsize=64)
def fitting(size: int, dropout: float, colluding: float, least: int = FEWEST) -> Ring:
    """The smallest that bears at most these shares of its devices that drop out, and that collude with the hub (one of
    them in any case).

    With k neighbours, t of them needed, and of a device's neighbours at most d dropped and c colluding: t <= k - d, so
    that the round ends; t > c, so that what accomplices hold opens nothing; and t > k / 2 (`Ring.check`). d and c are
    bounds of the hypergeometric distribution, or all there are. Where not all are neighbours, t >= `least` - 1: so each
    device sees by itself that it is in no sum of fewer (`own_least`). Raises `Rejected` when no number of neighbours
    does.
    """
    dropped, corrupt = int(size * dropout + 1e-9), max(1, int(size * colluding + 1e-9))
    degree = 2
    while dropped + max(dropped, corrupt) < size - 1 and size >= FEWEST:
        degree = min(degree, size - 1)
        lost = _most(size - 1, dropped, degree, log(size) + _FAILURE * log(2))
        false = _most(size - 1, corrupt, degree, log(size) + _PRIVACY * log(2))
        threshold = max(degree // 2, false, least - 2 if degree < size - 1 else 0) + 1
        if threshold <= degree - lost and _holds_together(size, dropped + corrupt, degree):
            return Ring(size=size, degree=degree, threshold=threshold)
        if degree == size - 1:
            break
        degree += max(2, degree // 32 * 2)
    raise Rejected(
        f"secure aggregation of {size} devices cannot bear that {dropped} drop out and {corrupt} collude",
        hint="more devices, or smaller shares for dropout and colluding",
    )


def _holds_together(size: int, removed: int, degree: int) -> bool:
    """What is left of the circle once so many are taken out: it parts only where two whole runs of neighbours are."""
    if removed < degree or degree == size - 1:
        return True
    return size**2 // 2 * comb(size - degree, removed - degree) * 2**_PRIVACY <= comb(size, removed)


def _most(population: int, marked: int, drawn: int, rarity: float) -> int:
    """The number of marked ones among those drawn that is passed with a chance of at most exp(-rarity)."""
    chance = 0.0
    for number in range(min(marked, drawn), 0, -1):
        if drawn - number > population - marked:
            return number
        chance += exp(
            _log_comb(marked, number) + _log_comb(population - marked, drawn - number) - _log_comb(population, drawn)
        )
        if chance > exp(-rarity):
            return number
    return 0


def _log_comb(count: int, of: int) -> float:
    return lgamma(count + 1) - lgamma(of + 1) - lgamma(count - of + 1)
