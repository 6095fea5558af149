"""Rounds of many devices without any computing: what a device and a round cost the hub's side, beside a bare SuperLink.

The same sessions and the same app on all sides, in turns: through our gateway (TLS, signatures, long polls, receipts),
and directly at Flower's SuperLink with its state in memory and in a database file, polled once a second. Counted is
the CPU of the hub's process and of the SuperLink's, without the ServerApp and without the devices; MongoDB's is said.
A bare SuperLink that starves does not come to the end of a round: then what it has spent by then counts as one, which
is too little, and it has no further turn.
"""

import statistics
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from bench.fleets import Fleet, flip_fleet, stock_fleet
from bench.progress import say
from bench.race import WITHIN, Lap, run
from bench.report import Verdict, at_most

_SIZE = 10_000
_TURNS = 2
_PATIENCE = 240.0
"""Seconds that a bare SuperLink has for its rounds."""


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    devices, many, turns = (10, 50, 1) if quick else (100, 1000, _TURNS)
    async with AsyncExitStack() as stack:
        flip = await stack.enter_async_context(flip_fleet(folder / "flip", max(devices, many)))
        file = await stack.enter_async_context(stock_fleet(folder / "file", devices, database=True))
        memory = await stack.enter_async_context(stock_fleet(folder / "memory", devices, database=False))
        laps: dict[str, list[Lap]] = {}
        given_up: set[str] = set()
        for turn in range(turns):
            for fleet, rounds in ((flip, 3), (memory, 1), (file, 1)):  # one of the last takes minutes
                name = fleet.side.name
                if name not in given_up:
                    patience = WITHIN if fleet is flip else _PATIENCE
                    lap, ended = await _lap(fleet, folder, devices, rounds, f"turn {turn + 1}", patience)
                    laps.setdefault(name, []).append(lap)
                    given_up |= set() if ended else {name}
        crowd, ended = await _lap(flip, folder, many, _TURNS, "all", WITHIN)
        errors = flip.errors
    cost = {name: _of_a_round(each, devices) for name, each in laps.items()}
    return {
        "cpu_ratio_file": at_most(0.25, cost["flip"] / cost["file"], cost["file"]),
        "cpu_ratio_memory": at_most(1.0, cost["flip"] / cost["memory"], cost["memory"]),
        f"errors_{many}": at_most(0, errors + (not ended)),
        f"round_seconds_{many}": at_most(600.0, statistics.median(crowd.rounds)),
    }


async def _lap(fleet: Fleet, folder: Path, devices: int, rounds: int, turn: str, patience: float) -> tuple[Lap, bool]:
    """And whether it came to its end."""
    name = fleet.side.name
    async with fleet.devices(devices):
        before = fleet.cpu()
        try:
            lap = await run(
                fleet.side, folder, devices=devices, rounds=rounds, size=_SIZE, spent=fleet.cpu, within=patience
            )
        except TimeoutError:
            lap = Lap([patience], fleet.cpu() - before)
            cost = 1000 * _of_a_round([lap], devices)
            say(f"{turn}: {name}, {devices} devices: no end in {patience:.0f} s, {cost:.1f} ms of CPU a device by then")
            return lap, False
    cost = 1000 * _of_a_round([lap], devices)
    seconds = statistics.median(lap.rounds)
    say(f"{turn}: {name}, {devices} devices: {seconds:.2f} s a round, {cost:.1f} ms of CPU a device")
    return lap, True


def _of_a_round(laps: Sequence[Lap], devices: int) -> float:
    """CPU seconds for one device."""
    return sum(lap.cpu for lap in laps) / sum(len(lap.rounds) for lap in laps) / devices
