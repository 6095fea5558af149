"""Rounds of a model of 100 MB on two devices: how long one takes, and the most memory that a device needs for it.

The same app on both sides, in turns, as in `rounds`. Memory is that of everything that trains on one device (shared
pages counted for each process, on both sides); the local inference server, which Flower does not have, is left out.
"""

import statistics
from collections.abc import Mapping
from pathlib import Path

from bench.progress import say
from bench.race import run
from bench.report import Verdict, at_most
from bench.sides import Side, ours, stock
from bench.trees import MIB, rss, watching

_DEVICES = 2


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    size = 2_500_000 if quick else 25_000_000  # of 4 bytes each
    seconds: dict[str, list[float]] = {"flip": [], "flower": []}
    peaks: dict[str, list[float]] = {"flip": [], "flower": []}
    async with ours(folder / "flip", _DEVICES) as flip, stock(folder / "flower", _DEVICES) as flower:
        for turn in range(1 if quick else 3):
            for side in (flip, flower):
                async with watching(lambda side=side: _most(side)) as peak:
                    lap = await run(side, folder, devices=_DEVICES, rounds=2 if quick else 3, size=size)
                seconds[side.name] += lap.rounds
                peaks[side.name].append(peak.value / MIB)
                say(f"turn {turn + 1}: {side.name}: {lap.rounds[-1]:.2f} s a round, {peak.value / MIB:.0f} MiB")
    times = {name: statistics.median(values) for name, values in seconds.items()}
    memory = {name: max(values) for name, values in peaks.items()}
    return {
        "round_ratio": at_most(1.0, times["flip"] / times["flower"], times["flower"]),
        "peak_rss_ratio": at_most(1.0, memory["flip"] / memory["flower"], memory["flower"]),
    }


def _most(side: Side) -> int:
    return max((rss(pid, without="serve") for pid in side.devices()), default=0)
