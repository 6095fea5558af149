"""The state of a strategy's rounds, kept in checkpoints and taken from them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord
from flwr.serverapp.strategy import Result, Strategy

from flip_hub.federation.aggregator.beginning import Begin, arrays_of_run
from flip_hub.federation.aggregator.memory import Memory, write
from flip_hub.federation.checkpoint import Checkpoints, Place
from flip_hub.federation.journal import Journal
from flip_runtime.errors import Corrupt, Unavailable

log = logging.getLogger("flwr.flip")


@dataclass
class State:
    """What changes from round to round."""

    strategy: Strategy
    arrays: ArrayRecord
    train_config: ConfigRecord
    """Strategies write into it, for example a learning rate that they lower."""
    evaluate_config: ConfigRecord
    result: Result
    changed: bool = False
    """Whether the last training gave new arrays."""
    void: str = ""


class Saved:
    def __init__(self, journal: Journal, begin: Begin | None = None, *, private: bool = False) -> None:
        """`begin`: a checkpoint of an earlier run that this one begins after. `private`: nothing of a round may leave
        before its checkpoint is on disk, for a round that is done again has other noise."""
        self._journal = journal
        self._private = private
        self._checkpoints = Checkpoints(journal.folder)
        self._begin = begin
        self._told: set[str] = set()
        self._start = 1

    @property
    def folder(self) -> Path:
        """The run's."""
        return self._journal.folder

    def given_in(self, number: int) -> ArrayRecord | None:
        """The model that the devices of that round began with, in the call of `Strategy.start` that was restored last;
        None when its checkpoint is gone or damaged."""
        try:
            memory = Memory(self._checkpoints.read(Place(self._start, number - 1, done=True).model))
        except (Corrupt, OSError):
            return None
        return memory.value("arrays")

    def restore(self, start: int, state: State) -> Place | None:
        """Sets `state` to the newest checkpoint of that call of `Strategy.start`; None when there is none."""
        self._start = start
        place = self._checkpoints.newest(start)
        if place is None:
            return None
        memory = Memory(self._checkpoints.read(place))
        if place.model != place:
            _set(state, Memory(self._checkpoints.read(place.model)))
        _set(state, memory)
        return place

    def begin(self, start: int, state: State) -> int:
        """Sets `state` to what the earlier run had after the round with which this one begins: the model, and what the
        same strategy has learnt; options and configurations are this run's. Gives the round, 0 without any. Raises
        `Rejected` when its model is another one."""
        if start != 1 or self._begin is None:
            return 0
        memory = self._begin.memory
        state.arrays = arrays_of_run(memory.value("arrays"), state.arrays)
        state.result.arrays = state.arrays
        memory.learnt("strategy", state.strategy)
        return self._begin.place.round

    def keep(self, start: int, number: int, done: bool, state: State, taken: Sequence[str]) -> None:
        """Returns when it is on disk, or cannot be and the run goes on without it. Raises `Rejected` when the hub has
        ended the run, and `Unavailable` where a private round has no checkpoint of its model."""
        values: dict[str, Any] = {
            "result": _without_arrays(state.result),
            "train_config": state.train_config,
            "evaluate_config": state.evaluate_config,
            "changed": state.changed,
            "void": state.void,
        }
        if not done or not number:
            values |= {"arrays": state.arrays, "strategy": state.strategy}
        written = write(values)
        for path in set(written.left_out) - self._told:
            log.warning("%s is not kept in checkpoints: after a crash the app begins with it anew", path)
            self._told.add(path)
        with self._journal.still_open():
            try:
                self._checkpoints.write(Place(start, number, done), list(taken), written.pieces)
            except OSError as error:
                if self._private and not done:
                    raise Unavailable(
                        f"no checkpoint of round {number}: {error.strerror}; a private run does not go on without",
                        hint="make room on the hub's disk, and go on from this run: flip-hub runs start --from-run",
                    ) from error
                log.warning("no checkpoint of round %d: %s", number, error)
        self._prune()

    def _prune(self) -> None:
        """What they held stays known."""
        for place in self._checkpoints.surplus():
            self._journal.add(*self._checkpoints.taken(place))
            self._checkpoints.remove(place)


def _without_arrays(result: Result) -> Result:
    return Result(ArrayRecord(), *(getattr(result, name) for name in _METRICS))


_METRICS = ("train_metrics_clientapp", "evaluate_metrics_clientapp", "evaluate_metrics_serverapp")


def _set(state: State, memory: Memory) -> None:
    arrays = memory.value("arrays")
    if arrays is not None:
        state.arrays = arrays
        memory.into("strategy", state.strategy)
    for name in ("train_config", "evaluate_config", "changed", "void"):
        setattr(state, name, memory.value(name))
    memory.into("result", state.result)
    state.result.arrays = state.arrays
