"""What a bench found: each figure beside its limit and the peer's, and the one line that says whether all is well."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct


class Figure(Struct, frozen=True):
    value: float
    limit: float
    peer: float | None
    """The peer's own value, where the limit is not a ratio to it; or what the ratio's denominator was."""


class Verdict(Struct, frozen=True):
    figure: Figure
    good: bool


class Line(Struct, frozen=True):
    bench: str
    passed: bool = msgspec.field(name="pass")
    figures: dict[str, Figure]


def at_most(limit: float, value: float, peer: float | None = None) -> Verdict:
    return Verdict(_rounded(value, limit, peer), value <= limit)


def at_least(limit: float, value: float, peer: float | None = None) -> Verdict:
    return Verdict(_rounded(value, limit, peer), value >= limit)


def line(bench: str, verdicts: Mapping[str, Verdict]) -> Line:
    figures = {name: verdict.figure for name, verdict in verdicts.items()}
    return Line(bench, all(verdict.good for verdict in verdicts.values()), figures)


def _rounded(value: float, limit: float, peer: float | None) -> Figure:
    """Four significant digits: more would be noise."""
    return Figure(_four(value), limit, None if peer is None else _four(peer))


def _four(value: float) -> float:
    return float(f"{value:.4g}")
