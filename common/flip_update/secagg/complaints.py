"""Who leaves the round when devices cannot open what others have dealt: as few as possible.

The hub cannot see who is wrong. One that is accused by all its neighbours leaves, and so does one that accuses all of
them; of two alone, the one that is accused.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple


class Complaint(NamedTuple):
    by: int
    about: int


def leaving(complaints: Iterable[Complaint]) -> list[int]:
    """Devices without which no complaint is left; whoever has part in the most of them first."""
    left = set(complaints)
    gone: list[int] = []
    while left:
        parts = Counter(number for complaint in left for number in complaint)
        accused = Counter(complaint.about for complaint in left)
        worst = max(parts, key=lambda number: (parts[number], accused[number], number))
        gone.append(worst)
        left = {complaint for complaint in left if worst not in complaint}
    return gone
