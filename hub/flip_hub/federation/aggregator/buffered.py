"""The steps of a run without rounds (`strategies.fedbuff`), with a checkpoint after each.

It is on the disk before any device is given the model that the step made.

A reply counts when the checkpoint of its step is there. One that lies in the buffer, or is on its way, is asked
for again after a crash, in the same words, so that its device gives what it has finished.
"""

from collections.abc import Callable, Mapping, Sequence

from flip_hub.federation.aggregator.grid import RoundGrid
from flip_hub.federation.aggregator.progress_reports import ProgressReports
from flip_hub.federation.aggregator.saved import Saved, State
from flip_hub.federation.aggregator.strategies.async_steps import async_steps
from flip_hub.federation.aggregator.strategies.bases import FolderBases
from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from flip_hub.federation.aggregator.strategies.noted import note
from flip_hub.federation.aggregator.strategies.steps import Evaluated, Step, Work
from flip_hub.federation.schemas import Phase

GIVEN_UP = "it came too late for any step"


class BufferedSteps:
    """Of one call of `Strategy.start`."""

    def __init__(
        self,
        grid: RoundGrid,
        saved: Saved,
        reports: ProgressReports,
        write: Callable[[int, Sequence[str]], None],
        seed: int,
    ) -> None:
        """`write(step, taken)` writes a checkpoint."""
        self._grid = grid
        self._saved = saved
        self._reports = reports
        self._write = write
        self._seed = seed
        self._number = 0
        self._held: list[str] = []
        """What the checkpoint of the newest step holds."""

    def run(self, strategy: FedBuff, state: State, work: Work, done: int) -> None:
        """Goes on after `done` steps; `state` has the result."""
        self._number = done

        def on_step(step: Step) -> None:
            state.result.arrays = state.arrays = step.arrays
            state.changed = True
            note(state.result.train_metrics_clientapp, step.number, step.metrics)
            for refused in step.refused:
                self._grid.refuse_message(refused.message_id, refused.node, refused.reason)
            self._keep(step.number, {taken.message_id: taken.weight for taken in step.taken})
            self._grid.missed(set(step.given_up), GIVEN_UP)
            self._reports.finished(step.number, step.arrays, state.result, "")

        def on_evaluated(evaluated: Evaluated) -> None:
            note(state.result.evaluate_metrics_clientapp, evaluated.step, evaluated.of_devices)
            note(state.result.evaluate_metrics_serverapp, evaluated.step, evaluated.of_hub)
            for refused in evaluated.refused:
                self._grid.refuse_message(refused.message_id, refused.node, refused.reason)
            self._keep(self._number, dict.fromkeys(self._grid.untaken(Phase.EVALUATE, evaluated.step)))
            self._reports.finished(evaluated.step, None, state.result, "")

        bases = FolderBases(self._saved.folder)
        arrays = async_steps(
            strategy,
            self._grid,
            state.arrays,
            work,
            done=done,
            bases=bases,
            clock=self._grid.clock,
            seed=self._seed,
            on_step=on_step,
            on_evaluated=on_evaluated,
        )
        state.result.arrays = state.arrays = arrays

    def _keep(self, number: int, taken: Mapping[str, float | None]) -> None:
        """The checkpoint of a step is written again when an evaluation has ended after it. `taken`: their weights."""
        self._number, self._held = number, [*(self._held if number == self._number else []), *taken]
        self._write(number, self._held)
        self._grid.taken(taken, number, {key: weight for key, weight in taken.items() if weight is not None})
