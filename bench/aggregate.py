"""100 updates of 10 MB: what aggregating them takes beside one NumPy pass over their bytes, and how much memory.

Plain FedAvg and FedBuff, in a process of their own as a ServerApp's is (`aggregation_process`): with all that the hub
looks at in an update, and for FedBuff with two steps, stale updates in the second, and the bases on disk. Memory is
what the process needs at most beyond what it had before there was any model, in updates.
"""

import statistics
from collections.abc import Mapping
from pathlib import Path

from bench.aggregation_process import Found, Settings
from bench.load_process import LoadProcess
from bench.progress import say
from bench.report import Verdict, at_most

_STRATEGIES = ("fedavg", "fedbuff")


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    verdicts: dict[str, Verdict] = {}
    for strategy in _STRATEGIES:
        found = await _measured(folder / strategy, strategy, quick=quick)
        times = [statistics.median(seconds) for seconds in (found.ours, found.numpy)]
        needed = (found.peak - found.idle) / found.update
        say(f"{strategy}: {times[0]:.3f} s of CPU against {times[1]:.3f} s, {needed:.2f} updates in memory")
        verdicts |= {
            f"{strategy}_pass_ratio": at_most(2.0, times[0] / times[1], times[1]),
            f"{strategy}_peak_updates": at_most(4.0, needed),
        }
    return verdicts


async def _measured(folder: Path, strategy: str, *, quick: bool) -> Found:
    folder.mkdir()
    entries, turns = (1_000_000, 2) if quick else (2_500_000, 7)  # of 4 bytes each
    settings = Settings(folder=str(folder), strategy=strategy, updates=100, entries=entries, turns=turns)
    process = await LoadProcess.started("bench.aggregation_process", settings)
    try:
        return await process.told(Found)
    finally:
        process.terminate()
        await process.wait()
