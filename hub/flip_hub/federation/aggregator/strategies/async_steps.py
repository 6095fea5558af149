"""The steps of a run without rounds: ask whoever is free, look for answers, move the model when the buffer is full.

A step is told (`on_step`) before anybody is given the model that it made, so a caller that keeps it, with the
strategy's attributes and the bases, can go on after a crash: devices that were at work are asked again for what they
had, and those whose updates lay in the buffer as well. When updates come decides which of them make a step, but not
what they make: a step adds them up by version and device.
"""

import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from flwr.app import ArrayRecord, Message
from flwr.serverapp import Grid

from flip_hub.federation.aggregator.clock import Clock, MachineClock
from flip_hub.federation.aggregator.strategies.bases import Bases, MemoryBases
from flip_hub.federation.aggregator.strategies.buffer import Buffer, metrics_of
from flip_hub.federation.aggregator.strategies.buffered_step import Update, buffered_step
from flip_hub.federation.aggregator.strategies.exchange import Exchange
from flip_hub.federation.aggregator.strategies.refusals import refused_update
from flip_hub.federation.aggregator.strategies.steps import (
    Evaluated,
    Refused,
    Step,
    Taken,
    Work,
)
from flip_hub.federation.aggregator.strategies.tasks import Task
from flip_hub.federation.aggregator.strategies.tensors import read
from flip_runtime.errors import Unavailable

if TYPE_CHECKING:
    from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff

log = logging.getLogger("flwr.flip")

_FIRST_LOOK = 0.05
_SLOWEST_LOOK = 1.0
"""Seconds between looks for answers: a tenth of what was waited already, between these."""


def async_steps(
    strategy: "FedBuff",
    grid: Grid,
    arrays: ArrayRecord,
    work: Work,
    *,
    done: int = 0,
    bases: Bases | None = None,
    clock: Clock | None = None,
    seed: int | None = None,
    on_step: Callable[[Step], None] = lambda _: None,
    on_evaluated: Callable[[Evaluated], None] = lambda _: None,
) -> ArrayRecord:
    """Goes on with `arrays`, the model after `done` steps; `seed` decides whom it asks where not all are asked.

    Raises `Unavailable` when nothing came for the work's timeout, and what `on_step` and `on_evaluated` raise.
    """
    keep, measure = bases or MemoryBases(), clock or MachineClock()
    exchange = Exchange(strategy, grid, work, keep, measure)
    steps = _Steps(strategy, work, exchange, keep, measure, seed, on_step, on_evaluated)
    return steps.run(done, arrays)


class _Steps:
    def __init__(
        self,
        strategy: "FedBuff",
        work: Work,
        exchange: Exchange,
        bases: Bases,
        clock: Clock,
        seed: int | None,
        on_step: Callable[[Step], None],
        on_evaluated: Callable[[Evaluated], None],
    ) -> None:
        self._strategy = strategy
        self._work = work
        self._exchange = exchange
        self._bases = bases
        self._clock = clock
        self._seed = seed
        self._on_step = on_step
        self._on_evaluated = on_evaluated
        self._buffer = Buffer()
        self._refused: list[Refused] = []

    def run(self, done: int, arrays: ArrayRecord) -> ArrayRecord:
        self._set_model(done, arrays)
        self._evaluate()
        while self._version < self._work.steps:
            self._exchange.ask(self._version, self._arrays, self._draw)
            self._look()
            if self._full():
                self._step()
            else:
                self._sleep()
        while self._exchange.evaluation is not None:
            self._sleep()
            self._look()
        return self._arrays

    def _set_model(self, version: int, arrays: ArrayRecord) -> None:
        self._version, self._arrays, self._like = version, arrays, read(arrays)
        self._draw = random.Random(None if self._seed is None else f"{self._seed}/{version}")
        self._began = self._moved = self._clock.now()
        """When the work at the next step began, and when something came last."""
        self._bases.keep(version, arrays)

    # ---- answers ------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        for task, reply in self._exchange.answers():
            self._moved = self._clock.now()
            if self._exchange.tasks.superseded(task):
                self._refuse(task.message_id, task.node, "a newer update of this device is there already")
            elif why := self._why_not(reply):
                self._fail(task, why)
            else:
                self._exchange.tasks.accepted(task)
                self._buffer.add(self._update(task, reply))
        self._end_evaluation(if_over=True)

    def _why_not(self, reply: Message) -> str:
        if reply.has_error():
            return reply.error.reason or f"error {reply.error.code}"
        return refused_update(reply, self._like, self._strategy.weighted_by_key)

    def _update(self, task: Task, reply: Message) -> Update:
        samples = metrics_of(reply)[self._strategy.weighted_by_key]
        assert isinstance(samples, int | float)  # or it had been refused
        return Update(message_id=task.message_id, node=task.node, version=task.version, samples=samples, reply=reply)

    def _fail(self, task: Task, reason: str) -> None:
        self._exchange.tasks.failed(task.node, task.version, self._clock.now())
        self._refuse(task.message_id, task.node, reason)

    def _refuse(self, message_id: str, node: int, reason: str) -> None:
        log.info("node %d has no part in step %d: %s", node, self._version + 1, reason)
        self._refused.append(Refused(message_id=message_id, node=node, reason=reason))

    # ---- steps --------------------------------------------------------------------------------------------------

    def _full(self) -> bool:
        """Or as full as it will be. Raises `Unavailable` when nothing has come for too long."""
        if len(self._buffer) >= self._strategy.buffer_size:
            return self._all_alike()
        now, tasks = self._clock.now(), self._exchange.tasks
        over = now - self._began >= self._work.timeout
        if not self._buffer and over:
            raise Unavailable(
                f"no device has sent an update for {self._work.timeout:g} s: {len(self._exchange.online)} are "
                f"connected, {len(tasks.busy(now))} are at work",
                hint="the log says which devices were refused, and why",
            )
        waits = not over and tasks.anyone_left(self._exchange.online, self._version, now)
        return bool(self._buffer) and not waits and self._all_alike()

    def _all_alike(self) -> bool:
        """Whether the step can be made; those that stand against it are refused."""
        odd = self._buffer.odd(self._strategy.buffer_size)
        for update, why in odd:
            self._exchange.tasks.failed(update.node, update.version, self._clock.now())
            self._refuse(update.message_id, update.node, why)
        return not odd

    def _step(self) -> None:
        updates = self._buffer.take(self._strategy.buffer_size)
        weighing = self._strategy.weighing(self._version)
        taken = [
            Taken(
                message_id=update.message_id, node=update.node, staleness=self._version - update.version, weight=weight
            )
            for update, weight in zip(updates, weighing.weights(updates), strict=True)
        ]
        for update in updates:
            self._exchange.tasks.taken(update.node, update.version)
        metrics = self._strategy.train_metrics([update.reply for update in updates])
        arrays = buffered_step(self._arrays, updates, weighing, self._bases)
        self._set_model(self._version + 1, arrays)
        given_up = self._give_up()
        refused, self._refused = self._refused, []
        self._on_step(
            Step(
                number=self._version,
                arrays=arrays,
                metrics=metrics,
                taken=taken,
                refused=refused,
                given_up=given_up,
            )
        )
        self._bases.forget_all_but(self._exchange.tasks.versions() | self._buffer.versions | {self._version})
        self._evaluate()

    def _give_up(self) -> list[str]:
        """What is too stale for the next step, or all when there is none."""
        last = self._version == self._work.steps
        oldest = self._version + 1 if last else self._version - self._strategy.max_staleness
        for update in self._buffer.stale(oldest):
            self._exchange.tasks.dropped(update.node, update.version)
            self._refuse(update.message_id, update.node, "the run is over" if last else "it is too stale")
        return [task.message_id for task in self._exchange.tasks.give_up(oldest)]

    # ---- evaluation ---------------------------------------------------------------------------------------------

    def _evaluate(self) -> None:
        """The current model, if it is its turn, it was not before a crash, and not half of the devices still evaluate
        an earlier one."""
        every, last = self._strategy.evaluate_every, self._version == self._work.steps
        due = last or bool(every and self._version % every == 0)
        if not due or self._version <= self._strategy.evaluated:
            return
        under_way = self._exchange.evaluation
        if under_way is not None and not last and not under_way.may_end(self._clock.now()):
            return
        self._end_evaluation()
        evaluate = self._work.evaluate
        of_hub = None if evaluate is None else evaluate(self._version, self._arrays)
        self._exchange.evaluation = self._exchange.ask_to_evaluate(self._version, self._arrays, of_hub, self._draw)
        self._end_evaluation(if_over=True)

    def _end_evaluation(self, *, if_over: bool = False) -> None:
        evaluation = self._exchange.evaluation
        if evaluation is None or (if_over and not evaluation.over(self._clock.now())):
            return
        self._exchange.evaluation = None
        self._strategy.evaluated = evaluation.step
        self._on_evaluated(evaluation.result(self._strategy))

    def _sleep(self) -> None:
        waited = self._clock.now() - self._moved
        self._clock.sleep(min(max(_FIRST_LOOK, waited / 10), _SLOWEST_LOOK))
