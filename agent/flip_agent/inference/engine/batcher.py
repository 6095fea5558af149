"""Batches requests without a timer: what arrived while the last forward ran is the next batch.

A forward that is known to be quick runs on the event loop as soon as the requests that are already there have been
read, a slower one in the model's one worker thread while the next batch gathers. A batch never mixes versions or row
shapes. The queue is bounded; a request whose client has gone or whose deadline has passed is never computed.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol
from weakref import WeakKeyDictionary

import numpy as np

from flip_agent.inference.problems import Expired, QueueFull
from flip_agent.inference.tensors import Array
from flip_runtime.errors import Rejected

QUICK = 1e-3
"""Seconds of CPU: about what a batch takes longer by way of the thread while the event loop is busy, because the thread
waits for the interpreter's lock on its way in and out."""


class Forward(Protocol):
    """One version of a model; `predictor.Predictor`."""

    @property
    def version(self) -> int: ...

    @property
    def batched(self) -> bool: ...

    @property
    def graph(self) -> str:
        """What it computes, whatever its weights: versions of one graph cost the same."""
        ...

    def run(self, inputs: Sequence[Array]) -> list[Array]: ...


Executed = Callable[[str, int, int, int, float], None]
"""`executed(model, version, jobs, rows, seconds)`: a batch was computed; called on the event loop."""


def unheard(model: str, version: int, jobs: int, rows: int, seconds: float) -> None:
    """Nobody counts batches."""


class Job:
    """The inputs of one request, all with the same number of rows."""

    __slots__ = ("answer", "deadline", "forward", "inputs", "kind", "rows")

    def __init__(
        self, forward: Forward, inputs: list[Array], deadline: float, answer: asyncio.Future[list[Array]]
    ) -> None:
        """`deadline` is on the event loop's clock."""
        self.forward = forward
        self.inputs = inputs
        self.deadline = deadline
        self.answer = answer
        self.rows: int = inputs[0].shape[0]
        self.kind: tuple[object, ...] = (forward, *[values.shape[1:] for values in inputs])
        """Jobs of equal kind may share a batch."""


class Batcher:
    """Belongs to one model and one event loop."""

    def __init__(self, name: str, *, max_rows: int, max_queue: int, executed: Executed = unheard) -> None:
        self._loop = asyncio.get_running_loop()
        self._name = name
        self._executed = executed
        self._max_rows = max_rows
        self._max_queue = max_queue
        self._waiting: deque[Job] = deque()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"forward-{name}")
        self._costs: WeakKeyDictionary[Forward, Costs] = WeakKeyDictionary()
        self._turn_planned = False
        self._looked_at = 0
        """How many waited at the last look, before a turn."""
        self.busy = False
        """A forward is running in the worker thread."""

    @property
    def waiting(self) -> int:
        """Requests whose forward has not begun."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        return not self.busy and not self._waiting

    def costs(self, forward: Forward) -> "Costs":
        if (known := self._costs.get(forward)) is None:
            alike = next((costs for other, costs in self._costs.items() if other.graph == forward.graph), None)
            known = self._costs[forward] = Costs(alike)
        return known

    def submit(self, forward: Forward, inputs: list[Array], deadline: float) -> asyncio.Future[list[Array]]:
        """Cancel the future when nobody waits for it any more. Raises `QueueFull`."""
        if len(self._waiting) >= self._max_queue:
            raise QueueFull(f"{self._max_queue} requests are waiting", hint="see inference.max_queue")
        job = Job(forward, inputs, deadline, self._loop.create_future())
        self._waiting.append(job)
        if not self.busy and not self._turn_planned:
            self._plan_turn()
        return job.answer

    def close(self) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _plan_turn(self) -> None:
        self._turn_planned = True
        self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        waiting = len(self._waiting)
        if self._looked_at < waiting < self._max_rows:  # more may have come to the sockets while these were read
            self._looked_at = waiting
            self._plan_turn()
            return
        self._looked_at = 0
        self._turn_planned = False
        while batch := self._take():
            costs = self.costs(batch[0].forward)
            if not costs.quick(_rows(batch)):
                self._start(batch, costs)
                return
            self._finish(batch, *timed(batch, self._max_rows, costs))

    def _take(self) -> list[Job]:
        batch, expired = take(self._waiting, self._max_rows, self._loop.time())
        for job in expired:
            job.answer.set_exception(Expired("the request waited until its deadline", hint="send fewer at a time"))
        return batch

    def _start(self, batch: list[Job], costs: "Costs") -> None:
        def finished(done: asyncio.Future[tuple[list[Outcome], float]]) -> None:
            self.busy = False
            if not done.cancelled():
                self._finish(batch, *done.result())
                self._turn()

        self.busy = True
        self._loop.run_in_executor(self._worker, timed, batch, self._max_rows, costs).add_done_callback(finished)

    def _finish(self, batch: list[Job], outcomes: list["Outcome"], seconds: float) -> None:
        computed = [job.rows for job, outcome in zip(batch, outcomes, strict=True) if isinstance(outcome, list)]
        if computed:
            self._executed(self._name, batch[0].forward.version, len(computed), sum(computed), seconds)
        settle(batch, outcomes)


class Costs:
    """What forwards of one version cost, by their number of rows, as a moving average."""

    def __init__(self, alike: "Costs | None" = None) -> None:
        """`alike` of another version of the same graph."""
        self._assumed: dict[int, float] = {} if alike is None else {**alike._assumed, **alike._seconds}
        """By the number of binary digits of the rows, as `_seconds`, which go before."""
        self._seconds: dict[int, float] = {}

    def expected(self, rows: int) -> float:
        """Seconds of CPU; infinite while nothing of that size was measured."""
        size = rows.bit_length()
        return self._seconds.get(size) or self._assumed.get(size, float("inf"))

    def quick(self, rows: int) -> bool:
        """Whether the event loop had better compute it itself."""
        return self.expected(rows) <= QUICK

    def beside(self, other: "Costs") -> float:
        """How many times the CPU of `other`, at the least; 1 where they cannot be compared."""
        ratios = [seconds / other._at_most(size) for size, seconds in self._seconds.items() if other._seconds]
        return min(ratios, default=1.0)

    def _at_most(self, size: int) -> float:
        """Seconds for so many digits of rows, going by those that were measured: more rows cost more, twice as many at
        most twice as much."""
        as_large = [seconds for measured, seconds in self._seconds.items() if measured >= size]
        if as_large:
            return min(as_large)
        largest = max(self._seconds)
        return self._seconds[largest] * 2.0 ** (size - largest)

    def note(self, rows: int, seconds: float) -> None:
        size = rows.bit_length()
        self._seconds[size] = 0.8 * self._seconds.get(size, seconds) + 0.2 * seconds


Outcome = list[Array] | Exception


def take(waiting: deque[Job], max_rows: int, now: float) -> tuple[list[Job], list[Job]]:
    """Removes the next batch and all expired jobs from the queue; jobs that nobody waits for are just dropped.

    The batch is the first job and those of its kind behind it, up to `max_rows`; a job of more rows is alone.
    """
    batch: list[Job] = []
    expired: list[Job] = []
    others: list[Job] = []
    rows = 0
    while waiting and rows < max_rows:
        job = waiting.popleft()
        if job.answer.done():
            continue
        if job.deadline <= now:
            expired.append(job)
        elif not batch or (job.forward.batched and job.kind == batch[0].kind and rows + job.rows <= max_rows):
            batch.append(job)
            rows += job.rows
        else:
            others.append(job)
    waiting.extendleft(reversed(others))
    return batch, expired


def timed(batch: Sequence[Job], max_rows: int, costs: Costs) -> tuple[list[Outcome], float]:
    """The outcomes, and the seconds that they took."""
    began = time.perf_counter()
    outcomes = compute(batch, max_rows, costs)
    return outcomes, time.perf_counter() - began


def compute(batch: Sequence[Job], max_rows: int, costs: Costs) -> list[Outcome]:
    """The outputs of each job, or what it raised."""
    before = time.thread_time()
    try:
        outcomes: list[Outcome] = [*_forward(batch, max_rows)]
    except Rejected as error:
        if len(batch) > 1:  # one of them is to blame: the others shall not suffer
            return [outcome for job in batch for outcome in compute([job], max_rows, costs)]
        return [error]
    except Exception as error:  # a bug in one forward: re-raised where its requests are awaited
        return [error] * len(batch)
    costs.note(_rows(batch), time.thread_time() - before)
    return outcomes


def settle(batch: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
    for job, outcome in zip(batch, outcomes, strict=True):
        if job.answer.done():
            continue
        if isinstance(outcome, Exception):
            job.answer.set_exception(outcome)
        else:
            job.answer.set_result(outcome)


def _forward(batch: Sequence[Job], max_rows: int) -> list[list[Array]]:
    forward = batch[0].forward
    if len(batch) == 1:
        return [_in_slices(forward, batch[0], max_rows)]
    joined = forward.run([np.concatenate(parts) for parts in zip(*(job.inputs for job in batch), strict=True)])
    ends = itertools.accumulate(job.rows for job in batch)
    return [[output[end - job.rows : end] for output in joined] for job, end in zip(batch, ends, strict=True)]


def _in_slices(forward: Forward, job: Job, max_rows: int) -> list[Array]:
    """A request may have more rows than a batch: then memory is still that of a batch."""
    if job.rows <= max_rows or not forward.batched:
        return forward.run(job.inputs)
    slices = [
        forward.run([values[start : start + max_rows] for values in job.inputs])
        for start in range(0, job.rows, max_rows)
    ]
    return [np.concatenate(parts) for parts in zip(*slices, strict=True)]


def _rows(batch: Sequence[Job]) -> int:
    return sum(job.rows for job in batch)
