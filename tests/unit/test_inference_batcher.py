"""What queued up while the last forward ran is the next batch: bounded, of one kind, never for nobody."""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence

import numpy as np
import pytest

from flip_agent.inference.engine.batcher import Batcher, Costs, Job, compute, take
from flip_agent.inference.problems import Expired, QueueFull
from flip_agent.inference.tensors import Array
from flip_runtime.errors import Rejected

SOON = 1e12


class Doubler:
    """Twice its input; refuses negative numbers; may be held up."""

    batched = True
    version = 1
    graph = "doubles"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self.running = threading.Event()

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        self.running.set()
        assert self.go.wait(10)
        self.batches.append(len(inputs[0]))
        if (inputs[0] < 0).any():
            raise Rejected("negative")
        return [inputs[0] * 2]


def rows(*values: float) -> list[Array]:
    return [np.array(values, dtype="f4").reshape(-1, 1)]


def job(forward: Doubler, inputs: list[Array], deadline: float = SOON) -> Job:
    return Job(forward, inputs, deadline, asyncio.get_running_loop().create_future())


@pytest.mark.asyncio
async def test_a_batch_takes_jobs_of_one_version_and_shape_up_to_the_limit_and_keeps_the_order_of_the_rest() -> None:
    one, two = Doubler(), Doubler()
    wide = [np.zeros((1, 7), dtype="f4")]
    first, other, shaped, second = job(one, rows(1, 2)), job(two, rows(1)), job(one, wide), job(one, rows(3))
    too_many, third = job(one, rows(4, 5)), job(one, rows(6))
    waiting = deque([first, other, shaped, second, too_many, third])
    assert take(waiting, 4, now=0.0) == ([first, second, third], [])
    assert list(waiting) == [other, shaped, too_many]


@pytest.mark.asyncio
async def test_a_version_that_cannot_batch_takes_one_job_at_a_time() -> None:
    alone = Doubler()
    alone.batched = False
    jobs = [job(alone, rows(1)), job(alone, rows(2))]
    assert take(deque(jobs), 64, now=0.0) == (jobs[:1], [])


@pytest.mark.asyncio
async def test_expired_jobs_and_those_of_clients_that_left_are_not_taken() -> None:
    forward = Doubler()
    late, gone, good = job(forward, rows(1), deadline=5.0), job(forward, rows(2)), job(forward, rows(3))
    gone.answer.cancel()
    assert take(deque([late, gone, good]), 64, now=6.0) == ([good], [late])


@pytest.mark.asyncio
async def test_each_job_gets_its_own_rows() -> None:
    forward = Doubler()
    answers = compute([job(forward, rows(1, 2)), job(forward, rows(3)), job(forward, rows(4, 5))], 64, Costs())
    assert [np.asarray(answer)[0].ravel().tolist() for answer in answers] == [[2, 4], [6], [8, 10]]
    assert forward.batches == [5]


@pytest.mark.asyncio
async def test_a_request_of_more_rows_than_a_batch_is_computed_in_slices() -> None:
    forward = Doubler()
    [answer] = compute([job(forward, rows(*range(10)))], 4, Costs())
    assert np.asarray(answer).ravel().tolist() == [2 * value for value in range(10)]
    assert forward.batches == [4, 4, 2]


@pytest.mark.asyncio
async def test_a_job_that_cannot_be_computed_does_not_harm_the_others_of_its_batch() -> None:
    forward = Doubler()
    good, bad, other = compute([job(forward, rows(1)), job(forward, rows(-1)), job(forward, rows(2))], 64, Costs())
    assert (np.asarray(good).item(), np.asarray(other).item()) == (2, 4)
    assert isinstance(bad, Rejected)


@pytest.mark.asyncio
async def test_a_bug_in_a_forward_reaches_its_requests_and_the_next_ones_are_answered() -> None:
    class Buggy(Doubler):
        def run(self, inputs: Sequence[Array]) -> list[Array]:
            raise ZeroDivisionError

    batcher = Batcher("m", max_rows=4, max_queue=4)
    with pytest.raises(ZeroDivisionError):
        await batcher.submit(Buggy(), rows(1), SOON)
    assert (await batcher.submit(Doubler(), rows(1), SOON))[0].item() == 2
    batcher.close()


def test_costs_are_an_average_per_size() -> None:
    costs = Costs()
    assert costs.expected(1) == float("inf")
    costs.note(1, 100e-6)
    costs.note(1, 200e-6)
    assert costs.expected(1) == pytest.approx(120e-6)
    assert costs.expected(30) == float("inf")


@pytest.mark.asyncio
async def test_what_arrives_while_a_forward_runs_is_the_next_batch_and_a_full_queue_refuses() -> None:
    forward = Doubler()
    forward.go.clear()
    batcher = Batcher("m", max_rows=64, max_queue=3)
    first = batcher.submit(forward, rows(1), SOON)
    await asyncio.to_thread(forward.running.wait, 10)
    waiting = [batcher.submit(forward, rows(value), SOON) for value in (2, 3, 4)]
    with pytest.raises(QueueFull) as refused:
        batcher.submit(forward, rows(5), SOON)
    assert (refused.value.status, refused.value.retry_after) == (429, 1)
    waiting[1].cancel()
    forward.go.set()
    answers = await asyncio.gather(first, waiting[0], waiting[2])
    assert [answer[0].item() for answer in answers] == [2, 4, 8]
    assert forward.batches == [1, 2]
    batcher.close()


@pytest.mark.asyncio
async def test_a_request_past_its_deadline_is_refused_without_being_computed() -> None:
    forward = Doubler()
    forward.go.clear()
    batcher = Batcher("m", max_rows=64, max_queue=3)
    first = batcher.submit(forward, rows(1), SOON)
    await asyncio.to_thread(forward.running.wait, 10)
    late = batcher.submit(forward, rows(2), deadline=0.0)
    forward.go.set()
    with pytest.raises(Expired):
        await late
    await first
    assert forward.batches == [1]
    batcher.close()


@pytest.mark.asyncio
async def test_quick_forwards_of_one_turn_share_a_batch_on_the_event_loop() -> None:
    forward = Doubler()
    batcher = Batcher("m", max_rows=64, max_queue=64)
    for _ in range(3):  # the first is measured in the worker thread
        await batcher.submit(forward, rows(1, 2, 3), SOON)
    forward.batches.clear()
    answers = [batcher.submit(forward, rows(value), SOON) for value in (1, 2, 3)]
    assert not batcher.busy
    await asyncio.gather(*answers)
    assert forward.batches == [3]
    batcher.close()


@pytest.mark.asyncio
async def test_the_worker_thread_is_given_one_batch_at_a_time() -> None:
    forward = Doubler()
    forward.go.clear()
    batcher = Batcher("m", max_rows=64, max_queue=64)
    first = batcher.submit(forward, rows(1), SOON)
    await asyncio.to_thread(forward.running.wait, 10)
    second = batcher.submit(forward, rows(2), SOON)
    forward.go.set()
    await first
    forward.go.clear()
    third = batcher.submit(forward, rows(3), SOON)  # between the end of the first batch and the second's turn
    await asyncio.sleep(0)
    fourth = batcher.submit(forward, rows(4), SOON)
    for _ in range(5):
        await asyncio.sleep(0)
    forward.go.set()
    await asyncio.gather(second, third, fourth)
    assert forward.batches == [1, 3], "two turns would have made two batches, one of them while the other ran"
    batcher.close()


@pytest.mark.asyncio
async def test_a_new_version_of_the_same_graph_is_as_quick_as_the_one_before() -> None:
    class Tripler(Doubler):
        graph = "triples"

    batcher = Batcher("m", max_rows=64, max_queue=64)
    before, new, other = Doubler(), Doubler(), Tripler()
    await batcher.submit(before, rows(1), SOON)
    assert batcher.costs(new).quick(rows=1)
    assert not batcher.costs(new).quick(rows=2)
    assert not batcher.costs(other).quick(rows=1)
    assert batcher.costs(new).beside(batcher.costs(other)) == 1, "what is assumed is no measurement"
    batcher.close()


@pytest.mark.asyncio
async def test_what_is_read_while_a_batch_is_about_to_begin_joins_it() -> None:
    forward = Doubler()
    batcher = Batcher("m", max_rows=4, max_queue=64)
    for size in (1, 2, 4):  # as often as is needed to know them as quick
        await batcher.submit(forward, rows(*range(size)), SOON)
    forward.batches.clear()
    answers: list[asyncio.Future[list[Array]]] = []
    for value in range(6):  # one in each turn of the event loop
        answers.append(batcher.submit(forward, rows(value), SOON))
        await asyncio.sleep(0)
    await asyncio.gather(*answers)
    assert forward.batches == [4, 2], "no batch waits for more than it may have"
    batcher.close()


def test_the_event_loop_computes_only_what_is_known_to_be_quick() -> None:
    costs = Costs()
    assert not costs.quick(rows=32), "nobody knows yet"
    costs.note(32, seconds=0.5e-3)
    assert costs.quick(rows=32)
    costs.note(64, seconds=2e-3)
    assert not costs.quick(rows=64)
