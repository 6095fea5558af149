"""Measurements while this machine has its time to itself: a virtual one may have to give it to its host's others.

What the host takes it takes from one side of a comparison and not from the other; such a measurement is made again.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from bench.progress import say

T = TypeVar("T")

_MUCH = 0.03
"""Share of the processors' time."""
_TRIES = 3
_STEAL = 7
"""Of the fields of `cpu` in proc_stat(5)."""
_FIELDS = 8
"""Those behind it are in these already."""


async def undisturbed(measure: Callable[[], Awaitable[T]]) -> T:
    """The first that the host left alone, or of a few the least disturbed one."""
    found: list[tuple[float, T]] = []
    for _ in range(_TRIES):
        before = _times()
        measured = await measure()
        stolen = _share(before, _times())
        if stolen <= _MUCH:
            return measured
        found.append((stolen, measured))
        say(f"the host took {stolen:.0%} of the processors' time: once more")
    return min(found, key=lambda each: each[0])[1]


async def calm_windows(measure: Callable[[], Awaitable[T]], *, wanted: int, most: int) -> list[T]:
    """One measurement after the other, until `wanted` of them were left alone; the least disturbed of `most`."""
    found: list[tuple[float, T]] = []
    while len(found) < most and sum(stolen <= _MUCH for stolen, _ in found) < wanted:
        before = _times()
        measured = await measure()
        found.append((_share(before, _times()), measured))
    found.sort(key=lambda each: each[0])
    say(f"of {len(found)} windows the host took {', '.join(f'{stolen:.0%}' for stolen, _ in found)}")
    return [measured for _, measured in found[:wanted]]


def _times() -> list[int]:
    return [int(number) for number in Path("/proc/stat").read_text().splitlines()[0].split()[1 : _FIELDS + 1]]


def _share(before: list[int], after: list[int]) -> float:
    spent = [late - early for early, late in zip(before, after, strict=True)]
    return spent[_STEAL] / max(1, sum(spent))
