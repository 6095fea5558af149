"""Devices that drop out and answer late: FedBuff beside synchronous FedAvg with a deadline, on a simulated clock.

The examples' own ClientApps train on data divided as the demo divides it (`simulated_app`), in five divisions. A device
is as slow as it is: its pace is drawn once from a log-normal distribution, the slowest of twenty takes about six times
as long as most; what it does each time varies, too; and of three in ten tasks nobody ever hears again. Both sides meet
the same devices, which finish what they have begun (`simulation`).

FedAvg gets the best of several deadlines for each app: the one with which it reaches the target first, on average. Of
FedBuff, the options are the same for both apps; they were chosen on other seeds than those of the bench. Both models
are looked at equally often, on data that no device has; final is the mean of the last fifth of the same time.
"""

import asyncio
import logging
import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord
from flwr.serverapp.strategy import FedAvg
from msgspec import Struct

from bench.progress import say
from bench.report import Verdict, at_least, at_most
from bench.simulated_app import Case, SimulatedApp
from bench.simulation import SimulatedClock, SimulatedGrid
from flip_hub.federation.aggregator.strategies.async_steps import async_steps
from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from flip_hub.federation.aggregator.strategies.steps import Step, Work

_WORK = 60.0
"""Seconds that the median device needs for a task."""
_DEVICES_DIFFER = 1.0
_TASKS_DIFFER = 0.5
"""Standard deviations of the logarithms."""
_DROPOUT = 0.3
_SHARES = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Of the tasks that are not dropped: by FedAvg's deadlines so many are done."""
_LOOK = 20.0
"""Seconds between looks at the model."""
_SEEDS = range(5)


class Contest(Struct, frozen=True):
    case: Case
    target: float
    seconds: float
    """On the simulated clock."""


CONTESTS = (
    Contest(Case(app="digits", devices=24, least=6), 0.95, 3000.0),
    Contest(Case(app="breast_cancer", devices=20, least=6), 0.93, 1500.0),
)


class Race(Struct, frozen=True):
    """One side, one seed."""

    reached: float
    """Seconds until the target; all there were when it was not reached."""
    final: float
    """Accuracy."""


class Pace:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._tasks: dict[int, int] = {}

    def __call__(self, node: int) -> float | None:
        """Its next task: the same for the same seed, device and number of the task."""
        self._tasks[node] = number = self._tasks.get(node, 0) + 1
        if np.random.default_rng([self._seed, node, number]).random() < _DROPOUT:
            return None
        return duration(self._seed, node, number)


def duration(seed: int, node: int, number: int) -> float:
    of_device = np.random.default_rng([seed, node]).normal(0.0, _DEVICES_DIFFER)
    of_task = np.random.default_rng([seed, node, number, 1]).normal(0.0, _TASKS_DIFFER)
    return _WORK * float(np.exp(of_device + of_task))


class Over(Exception):
    """The time is."""


class Watch:
    """The model's accuracy over simulated time."""

    def __init__(self, app: SimulatedApp, clock: SimulatedClock, contest: Contest) -> None:
        self._app = app
        self._clock = clock
        self._contest = contest
        self._curve: list[tuple[float, float]] = []

    def see(self, arrays: ArrayRecord) -> None:
        """A new model. Raises `Over`."""
        if self._clock.now() > self._contest.seconds:
            raise Over
        self._curve.append((self._clock.now(), self._app.accuracy(arrays)))

    def race(self) -> Race:
        looks = np.arange(0.0, self._contest.seconds, _LOOK)
        times, accuracies = (np.array(column) for column in zip(*self._curve, strict=True))
        seen = accuracies[np.searchsorted(times, looks, side="right") - 1]
        good = np.flatnonzero(seen >= self._contest.target)
        reached = float(looks[good[0]]) if len(good) else self._contest.seconds
        return Race(reached=reached, final=float(seen[-len(seen) // 5 :].mean()))


def run(contest: Contest, seed: int, deadline: float | None) -> Race:
    """FedAvg with that deadline, or FedBuff. In a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        app = SimulatedApp(contest.case, seed, Path(folder))
        grid = SimulatedGrid(SimulatedClock(), app.nodes, Pace(seed), app.answer)
        watch = Watch(app, grid.clock, contest)
        try:
            if deadline is None:
                _without_rounds(app, grid, watch, seed)
            else:
                _in_rounds(app, grid, watch, deadline)
        except Over:
            pass
        return watch.race()


def _in_rounds(app: SimulatedApp, grid: SimulatedGrid, watch: Watch, deadline: float) -> None:
    def evaluate(_: int, arrays: ArrayRecord) -> MetricRecord | None:
        watch.see(arrays)

    all_of_them = len(app.nodes)
    strategy = FedAvg(min_train_nodes=all_of_them, min_available_nodes=all_of_them, fraction_evaluate=0.0)
    strategy.start(grid, app.first, num_rounds=1_000_000, timeout=deadline, evaluate_fn=evaluate)


def _without_rounds(app: SimulatedApp, grid: SimulatedGrid, watch: Watch, seed: int) -> None:
    def on_step(step: Step) -> None:
        watch.see(step.arrays)

    strategy = fedbuff()
    watch.see(app.first)
    work = Work(steps=1_000_000, timeout=3600.0, train_config=ConfigRecord(), evaluate_config=ConfigRecord())
    async_steps(strategy, grid, app.first, work, clock=grid.clock, seed=seed, on_step=on_step)


def fedbuff() -> FedBuff:
    return FedBuff(
        buffer_size=4, staleness_exponent=0.75, server_learning_rate=1.5, patience=_WORK / 2, fraction_evaluate=0.0
    )


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    seeds, shares = (_SEEDS[:1], _SHARES[:1]) if quick else (_SEEDS, _SHARES)
    verdicts: dict[str, Verdict] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context, _quiet, (str(folder),)) as pool:
        for contest in CONTESTS[1:] if quick else CONTESTS:
            deadlines = [*_deadlines(contest, shares), None]
            races = await _races(pool, contest, seeds, deadlines)
            verdicts |= _verdicts(contest, races)
    return verdicts


async def _races(
    pool: ProcessPoolExecutor, contest: Contest, seeds: Sequence[int], deadlines: Sequence[float | None]
) -> dict[float | None, list[Race]]:
    loop, found = asyncio.get_running_loop(), dict[float | None, list[Race]]()
    jobs = {
        deadline: [loop.run_in_executor(pool, run, contest, seed, deadline) for seed in seeds] for deadline in deadlines
    }
    for deadline, races in jobs.items():
        found[deadline] = await asyncio.gather(*races)
        reached, final = _means(found[deadline])
        side = "FedBuff" if deadline is None else f"FedAvg, deadline {deadline:.0f} s"
        say(f"{contest.case.app}: {side}: {contest.target} after {reached:.0f} s, {final:.4f} in the end")
    return found


def _verdicts(contest: Contest, races: Mapping[float | None, list[Race]]) -> Mapping[str, Verdict]:
    synchronous = {deadline: races for deadline, races in races.items() if deadline is not None}
    best = min(synchronous.values(), key=lambda races: _means(races))
    (reached, final), (peer_reached, peer_final) = _means(races[None]), _means(best)
    return {
        f"{contest.case.app}_time_ratio": at_most(0.6, reached / peer_reached, peer_reached),
        f"{contest.case.app}_accuracy_gain": at_least(0.0, final - peer_final, peer_final),
    }


def _means(races: Sequence[Race]) -> tuple[float, float]:
    return statistics.mean(race.reached for race in races), statistics.mean(race.final for race in races)


def _deadlines(contest: Contest, shares: Sequence[float]) -> list[float]:
    drawn = [duration(seed, node, 1) for seed in range(200) for node in range(1, contest.case.devices + 1)]
    return [float(np.quantile(drawn, share)) for share in shares]


def _quiet(folder: str) -> None:
    logging.disable(logging.CRITICAL)
    tempfile.tempdir = folder
