"""One run of the rounds app on one side, timed from its own notes: when each round's replies were aggregated."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from msgspec import Struct

from bench.sides import Side
from bench.trees import cpu_seconds
from flip_hub.federation.fab import build_fab
from flip_runtime.errors import Unavailable

APP = Path(__file__).parent / "app"
WITHIN = 600.0
"""Seconds that a run may take."""


class Lap(Struct, frozen=True):
    rounds: list[float]
    """Seconds from one aggregation to the next. The first round is not among them: on both sides it starts programs."""
    cpu: float
    """Seconds in the time of these rounds, of all devices together."""


async def run(
    side: Side,
    folder: Path,
    *,
    devices: int,
    rounds: int,
    size: int,
    seed: int = 0,
    spent: Callable[[], float] | None = None,
    within: float = WITHIN,
) -> Lap:
    """`rounds` that are timed, of a model with `size` parameters, all zero without a `seed`. `spent`: CPU seconds so
    far, by default those of the devices' side. Raises `Unavailable` when the run fails, `TimeoutError` when it has not
    ended `within` seconds."""
    spent = spent or (lambda: cpu_seconds(side.devices()))
    out = folder / f"{side.name}-rounds"
    out.unlink(missing_ok=True)
    config = {"num-server-rounds": rounds + 1, "devices": devices, "size": size, "seed": seed, "out": str(out)}
    number = await side.start(build_fab(APP), config)
    async with asyncio.timeout(within):
        await _written(out, 1, side, number)
        before = spent()
        await _written(out, rounds + 1, side, number)
        cpu = spent() - before
        while not (how := await side.ended(number)):
            await asyncio.sleep(0.2)
    _check(how, side)
    marks = [float(line) for line in out.read_text().split()]
    return Lap([later - earlier for earlier, later in pairwise(marks)], cpu)


async def _written(out: Path, lines: int, side: Side, number: str) -> None:
    looks = 0
    while not out.exists() or out.read_text().count("\n") < lines:
        await asyncio.sleep(0.02)
        looks += 1
        if looks % 50 == 0:
            _check(await side.ended(number) or "finished", side)


def _check(how: str, side: Side) -> None:
    if how != "finished":
        raise Unavailable(f"the run of {side.name} ended: {how}")
