"""100 MB through the gateway, with TLS and signatures, beside the same at a bare SuperLink: down to a device and up.

One device of each side fetches the objects of an instruction and sends as many back, one after another, in Flower's
pieces of 5 MiB. Nothing is in the gateway's cache before. The hub's memory is its process's, without the SuperLink.
"""

import statistics
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import psutil

from bench.fleets import Fleet, flip_fleet, stock_fleet
from bench.progress import say
from bench.race import run
from bench.report import Verdict, at_least, at_most
from bench.trees import MIB, watching

_TURNS = 3
_SETTLE = 4.0
"""Seconds in which a ServerApp sends 100 MB to its SuperLink."""


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    size, turns = (2_500_000, 1) if quick else (25_000_000, _TURNS)
    async with AsyncExitStack() as stack:
        flip = await stack.enter_async_context(flip_fleet(folder / "flip", 1))
        flower = await stack.enter_async_context(stock_fleet(folder / "flower", 1, database=False))
        hub = psutil.Process(flip.pids[0])
        found: dict[str, list[tuple[float, float]]] = {"flip": [], "flower": []}
        await _transfer(flip, folder, 1000, turn=0)  # so that the hub has imported all that it needs
        before = hub.memory_info().rss
        async with watching(lambda: hub.memory_info().rss) as peak:
            for turn in range(1, turns + 1):
                for fleet in (flip, flower):
                    found[fleet.side.name].append(await _transfer(fleet, folder, size, turn))
    flips, flowers = ([statistics.median(rates) for rates in zip(*each, strict=True)] for each in found.values())
    return {
        "download_ratio": at_least(0.6, flips[0] / flowers[0], flowers[0]),
        "upload_ratio": at_least(0.6, flips[1] / flowers[1], flowers[1]),
        "hub_rss_growth_mib": at_most(32.0, max(0.0, (peak.value - before) / MIB)),
    }


async def _transfer(fleet: Fleet, folder: Path, size: int, turn: int) -> tuple[float, float]:
    """Bytes a second, down and up."""
    async with fleet.devices(1, settle=_SETTLE):
        await run(fleet.side, folder, devices=1, rounds=0, size=size, seed=turn + 1)
    (seen,) = fleet.seen
    (down,), (up,) = seen.down, seen.up
    say(f"turn {turn}: {fleet.side.name}: {down / 1e6:.0f} MB/s down, {up / 1e6:.0f} MB/s up")
    return down, up
