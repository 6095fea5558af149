"""What a crowd waited: the figures that benches quote."""

from collections.abc import Iterable

NEVER = 1e9
"""Where nobody was answered; a number that JSON has, and no limit allows."""


def quantiles(waited: Iterable[float]) -> list[float]:
    """p50, p95, p99 and the most."""
    found = sorted(waited) or [NEVER]
    return [found[min(len(found) - 1, int(len(found) * share))] for share in (0.5, 0.95, 0.99, 1.0)]
