"""100 updates of 10 MB: what aggregating them takes beside one NumPy pass over their bytes, and how much memory.

Plain FedAvg and FedBuff, twice. The arithmetic, in a process of its own (`aggregation_process`): with all that the hub
looks at in an update, and for FedBuff with two steps, stale updates in the second, and the bases on disk; its memory is
what that process needs beyond what it had before there was any model. And the real ServerApp (`serverapp`), with
replies of devices through hub, gateway and SuperLink: its memory is what it needs beyond what it had when it held its
model.
"""

import statistics
from collections.abc import Mapping
from pathlib import Path

from bench.aggregation_process import Found, Settings
from bench.fleets import flip_fleet
from bench.load_process import LoadProcess
from bench.progress import say
from bench.report import Verdict, at_most
from bench.serverapp import memory_of
from bench.trees import MIB
from flip_hub.federation.plan import Plan, Value

_STRATEGIES = ("fedavg", "fedbuff")
_ENTRIES = 2_500_000
"""Of a model of 10 MB."""


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
    return verdicts | await _serverapp(folder, quick=quick)


async def _serverapp(folder: Path, *, quick: bool) -> dict[str, Verdict]:
    devices = 10 if quick else 100
    options: dict[str, Value] = {"buffer_size": devices // 2, "fraction_evaluate": 0.0}
    plans = {"fedavg": Plan(), "fedbuff": Plan(strategy="fedbuff", options=options)}
    verdicts: dict[str, Verdict] = {}
    async with flip_fleet(folder / "hub", devices) as fleet:
        for strategy, plan in plans.items():
            async with fleet.devices(devices, learns=True):
                memory = await memory_of(fleet, folder, plan, devices=devices, entries=_ENTRIES)
            needed = (memory.most - memory.idle) / (4 * _ENTRIES)
            say(
                f"{strategy}: a ServerApp of {memory.idle / MIB:.0f} MiB with its model needs {needed:.2f} updates more"
            )
            verdicts[f"{strategy}_serverapp_updates"] = at_most(4.0, needed, memory.idle / MIB)
    return verdicts


async def _measured(folder: Path, strategy: str, *, quick: bool) -> Found:
    folder.mkdir()
    entries, turns = (1_000_000, 2) if quick else (_ENTRIES, 7)  # of 4 bytes each
    settings = Settings(folder=str(folder), strategy=strategy, updates=100, entries=entries, turns=turns)
    process = await LoadProcess.started("bench.aggregation_process", settings)
    try:
        return await process.told(Found)
    finally:
        process.terminate()
        await process.wait()
