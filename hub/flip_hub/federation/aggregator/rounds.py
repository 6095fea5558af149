"""The rounds of any Flower strategy, with a checkpoint after each step: what `Strategy.start` does, and goes on after a
crash as if there had been none.

The steps, their order and their arguments are those of `flwr.serverapp.strategy.Strategy.start` (flwr 1.41), so that a
strategy gives the same results. What is added lies between them: a step that a checkpoint holds is not done again;
what the engine draws depends on the run's seed and the round alone; what happens is reported. `Strategy.start` is
replaced while `conducting`; a strategy with a `start` of its own that does not call it goes its own way.
"""

import functools
import logging
import random
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from flip_hub.federation.aggregator.allocator import settle
from flip_hub.federation.aggregator.buffered import BufferedSteps
from flip_hub.federation.aggregator.demands import Demands, demands_of
from flip_hub.federation.aggregator.grid import RoundGrid
from flip_hub.federation.aggregator.privacy.ledger import Ledger
from flip_hub.federation.aggregator.progress_reports import ProgressReports, least_nodes
from flip_hub.federation.aggregator.reply_reports import answered_by
from flip_hub.federation.aggregator.saved import Saved, State
from flip_hub.federation.aggregator.secure.rounds import SecureRounds
from flip_hub.federation.aggregator.shares import shares_of
from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from flip_hub.federation.aggregator.strategies.noted import note
from flip_hub.federation.aggregator.strategies.steps import Evaluate, Work

log = logging.getLogger("flwr.flip")


class Conductor:
    """Of one ServerApp's process."""

    def __init__(
        self,
        grid: RoundGrid,
        saved: Saved,
        reports: ProgressReports,
        seed: int,
        chosen: Callable[[Strategy], Strategy] = lambda strategy: strategy,
        first: Callable[[ArrayRecord], ArrayRecord] = lambda arrays: arrays,
        evaluate: Evaluate | None = None,
        ledger: Ledger | None = None,
        secure: SecureRounds | None = None,
    ) -> None:
        """`chosen`: which strategy runs in the place of the app's, `first`: with what the run begins in the place of
        the app's arrays, `evaluate`: on the hub, where the app gives no evaluation of its own to `start`, `ledger`:
        of a private run, `secure`: of one whose rounds are sums; their devices do not evaluate."""
        self._grid = grid
        self._saved = saved
        self._reports = reports
        self._seed = seed
        self._chosen = chosen
        self._first = first
        self._evaluate = evaluate
        self._ledger = ledger
        self._secure = secure
        self._alone = secure is None and ledger is None
        """Whether the strategy is given the replies of devices, as they are."""
        self._starts = 0

    @contextmanager
    def conducting(self) -> Generator[None]:
        originals: dict[type[Strategy], Callable[..., Result]] = {kind: kind.start for kind in (Strategy, FedBuff)}
        for kind, original in originals.items():
            setattr(kind, "start", self._instead_of(original))  # noqa: B010  its type is narrower
        try:
            yield
        finally:
            for kind, original in originals.items():
                setattr(kind, "start", original)  # noqa: B010

    def _instead_of(self, original: Callable[..., Result]) -> Callable[..., Result]:
        @functools.wraps(original)
        def start(strategy: Strategy, grid: Grid, initial_arrays: ArrayRecord, *args: Any, **kwargs: Any) -> Result:
            if grid is not self._grid:
                return original(strategy, grid, initial_arrays, *args, **kwargs)
            return self._start(strategy, initial_arrays, *args, **kwargs)

        return start

    def _start(
        self,
        strategy: Strategy,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Evaluate | None = None,
    ) -> Result:
        self._starts += 1
        strategy = self._chosen(strategy)
        demands = demands_of(strategy) if self._alone else Demands()  # what stands around it has its own
        self._reports.started(type(strategy).__name__, num_rounds, least_nodes(strategy))
        if self._secure is not None:
            self._secure.begin(strategy)
        strategy = strategy if self._ledger is None else self._ledger.private(strategy)
        state = State(
            strategy=strategy,
            arrays=initial_arrays,
            train_config=ConfigRecord() if train_config is None else train_config,
            evaluate_config=ConfigRecord() if evaluate_config is None else evaluate_config,
            result=Result(),
        )
        strategy.summary()
        settle()
        self._grid.hold(demands)
        try:
            return self._rounds(state, num_rounds, timeout, evaluate_fn or self._evaluate)
        finally:
            self._grid.let_go()

    def _rounds(self, state: State, num_rounds: int, timeout: float, evaluate: Evaluate | None) -> Result:
        place = self._saved.restore(self._starts, state)
        begun = self._saved.begin(self._starts, state) if place is None else 0
        if begun:
            log.info("the run goes on after round %d of an earlier one", begun)
        elif place is None:
            state.arrays = self._first(state.arrays)
            if evaluate is not None:
                note(state.result.evaluate_metrics_serverapp, 0, evaluate(0, state.arrays), "round")
            self._keep(state, 0, done=True)
        else:
            log.info("the run goes on after round %d%s", place.round, "" if place.done else ", which was trained")
            if place.done and place.round:
                self._tell(state, place.round)  # it may have died before
        last, trained = (begun, False) if place is None else (place.round, not place.done)
        if isinstance(state.strategy, FedBuff):
            self._buffered(state.strategy, state, num_rounds, timeout, evaluate, last)
            return state.result
        if self._ledger is not None:
            self._ledger.begin(num_rounds - last)
        for number in range(last if trained else last + 1, num_rounds + 1):
            log.info("[ROUND %d/%d]", number, num_rounds)
            if not trained:
                self._train(state, number, timeout, last=number == num_rounds)
                if self._ledger is not None:
                    self._ledger.tell(num_rounds - number)
            trained = False
            self._evaluate_round(state, number, timeout, evaluate)
        return state.result

    def _buffered(
        self, strategy: FedBuff, state: State, steps: int, timeout: float, evaluate: Evaluate | None, done: int
    ) -> None:
        def write(number: int, taken: Sequence[str]) -> None:
            self._saved.keep(self._starts, number, False, state, taken)

        work = Work(
            steps=steps,
            timeout=timeout,
            train_config=state.train_config,
            evaluate_config=state.evaluate_config,
            evaluate=evaluate,
        )
        BufferedSteps(self._grid, self._saved, self._reports, write, self._seed).run(strategy, state, work, done)

    def _train(self, state: State, number: int, timeout: float, *, last: bool) -> None:
        self._draw(number, "train")
        strategy, grid = state.strategy, self._grid
        messages = strategy.configure_train(number, state.arrays, state.train_config, grid)
        if self._secure is None:
            replies = grid.send_and_receive(messages, timeout=timeout)
        else:
            replies = self._secure.replies(number, messages, timeout, last=last)
        # first: a strategy may take replies apart
        shares = shares_of(strategy, replies) if self._secure is None else {}
        arrays, metrics = strategy.aggregate_train(number, replies)
        state.void = grid.void or self._unused(strategy, replies, arrays, metrics)
        state.changed = arrays is not None
        if arrays is not None:
            state.result.arrays = state.arrays = arrays
        note(state.result.train_metrics_clientapp, number, metrics, "round")
        self._keep(state, number, done=False, shares=shares if arrays is not None else {})

    def _unused(self, strategy: Strategy, replies: Sequence[Message], arrays: Any, metrics: Any) -> str:
        """Why nothing came of replies that were sound: too few of them for Bulyan, say. A strategy of the app's own may
        have used them otherwise."""
        unused = {answered_by(reply) for reply in replies if reply.has_content()}
        if arrays is not None or metrics is not None or not unused or not (self._alone and demands_of(strategy).strict):
            return ""
        void = f"the round is void: {type(strategy).__name__} made nothing of {len(unused)} results; the log says why"
        self._grid.missed(unused, void)
        return void

    def _evaluate_round(self, state: State, number: int, timeout: float, evaluate: Evaluate | None) -> None:
        self._draw(number, "evaluate")
        strategy, grid, result = state.strategy, self._grid, state.result
        if self._secure is None:
            messages = strategy.configure_evaluate(number, state.arrays, state.evaluate_config, grid)
            replies = grid.send_and_receive(messages, timeout=timeout)
            note(result.evaluate_metrics_clientapp, number, strategy.aggregate_evaluate(number, replies), "round")
        if evaluate is not None:
            note(result.evaluate_metrics_serverapp, number, evaluate(number, state.arrays), "round")
        self._keep(state, number, done=True)
        self._tell(state, number)

    def _tell(self, state: State, number: int) -> None:
        self._reports.finished(number, state.arrays if state.changed else None, state.result, state.void)

    def _keep(
        self, state: State, number: int, *, done: bool, shares: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        """Raises `Rejected` when the hub has ended the run."""
        taken = self._grid.untaken()
        self._saved.keep(self._starts, number, done, state, taken)
        self._grid.taken(taken, number, shares)

    def _draw(self, number: int, phase: str) -> None:
        """Flower's strategies draw devices with Python's own generator."""
        random.seed(f"{self._seed}/{self._starts}/{number}/{phase}")
