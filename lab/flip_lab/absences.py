"""When something is away: spans of virtual time, some written down, the others drawn as far as anybody looks."""

import bisect
import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from flip_lab.faults import Absences


class Span(NamedTuple):
    begin: float
    end: float
    """Seconds."""


class Away:
    """In order, and apart from each other."""

    def __init__(self, written: Iterable[tuple[float, float]], drawn: Iterable[tuple[Absences, random.Random]]) -> None:
        self._sources = [_Drawn(rule, chance) for rule, chance in drawn]
        self._written = [Span(*each) for each in written]
        self._spans: Sequence[Span] = _merged(self._written)
        self._until = 0.0 if self._sources else float("inf")
        """How far all is known."""

    def at(self, moment: float) -> Span | None:
        """The one that holds then."""
        span = self.next(moment)
        return span if span is not None and span.begin <= moment else None

    def next(self, moment: float) -> Span | None:
        """The first that ends after it; None: there is none any more."""
        while True:
            place = bisect.bisect_right(self._spans, moment, key=lambda span: span.end)
            if place < len(self._spans) and self._spans[place].end < self._until:
                return self._spans[place]
            if self._until == float("inf"):
                return self._spans[place] if place < len(self._spans) else None
            self._draw(max(moment, self._until) * 2 + 3600.0)

    def _draw(self, until: float) -> None:
        drawn = [span for source in self._sources for span in source.up_to(until)]
        self._spans, self._until = _merged([*self._written, *drawn]), until


class _Drawn:
    def __init__(self, rule: Absences, chance: random.Random) -> None:
        self._rule = rule
        self._chance = chance
        self._spans: list[Span] = []
        self._last = 0.0

    def up_to(self, until: float) -> list[Span]:
        """All that begin before, and one more."""
        while self._last <= until:
            begin = self._last + self._chance.expovariate(1 / self._rule.every)
            self._last = begin + self._chance.expovariate(1 / self._rule.lasts)
            self._spans.append(Span(begin, self._last))
        return self._spans


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.begin <= merged[-1].end:
            merged[-1] = Span(merged[-1].begin, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged
