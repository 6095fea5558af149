"""Rounds without any computing: what a round itself takes, through our hub and agents against Flower's own.

The same app on both sides, in turns. Ours passes gateway, TLS and signature, and its hub registers each round's model;
Flower's runs without TLS. The devices' CPU counts everything on the device: `run`, `serve`, `train`, the worker.
"""

import statistics
from collections.abc import Mapping
from pathlib import Path

from bench.progress import say
from bench.race import Lap, run
from bench.report import Verdict, at_most
from bench.sides import ours, stock

_SIZE = 10_000
_TURNS = 3


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    verdicts: dict[str, Verdict] = {}
    for devices, limit, rounds in ((2, 0.15, 4),) if quick else ((2, 0.15, 8), (10, 0.2, 4)):
        flip, flower = await _race(folder, devices, turns=1 if quick else _TURNS, rounds=rounds)
        times = [statistics.median(seconds for lap in laps for seconds in lap.rounds) for laps in (flip, flower)]
        cpu = [_cpu_of_a_round(laps, devices) for laps in (flip, flower)]
        verdicts |= {
            f"round_ratio_{devices}": at_most(limit, times[0] / times[1], times[1]),
            f"cpu_ratio_{devices}": at_most(0.3, cpu[0] / cpu[1], cpu[1]),
        }
    return verdicts


async def _race(folder: Path, devices: int, *, turns: int, rounds: int) -> tuple[list[Lap], list[Lap]]:
    flips: list[Lap] = []
    flowers: list[Lap] = []
    folder = folder / f"{devices}"
    folder.mkdir()
    async with ours(folder / "flip", devices) as flip, stock(folder / "flower", devices) as flower:
        for turn in range(turns):
            for side, laps, more in ((flip, flips, 3), (flower, flowers, 1)):
                lap = await run(side, folder, devices=devices, rounds=rounds * more, size=_SIZE)
                say(f"turn {turn + 1}: {side.name}, {devices} devices: {statistics.median(lap.rounds):.2f} s a round")
                laps.append(lap)
    return flips, flowers


def _cpu_of_a_round(laps: list[Lap], devices: int) -> float:
    """Seconds for one device."""
    return sum(lap.cpu for lap in laps) / sum(len(lap.rounds) for lap in laps) / devices
