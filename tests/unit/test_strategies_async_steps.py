"""A run without rounds: devices answer when they can, fail, drop out, lie and come back; each step is told."""

import random
from collections.abc import Collection, Iterable

import numpy as np
import pytest
from flwr.app import Array, Error, Message, MetricRecord, RecordDict

from bench.simulation import SimulatedGrid
from flip_hub.federation.aggregator.strategies.bases import MemoryBases
from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from flip_hub.federation.aggregator.strategies.steps import Evaluated, Step
from flip_runtime.errors import Unavailable
from learning_devices import ALL, arrays_of, buffered, devices, metrics_of, run, work


def test_no_device_trains_twice_from_the_same_version_and_none_waits_for_a_slow_one() -> None:
    asked: list[tuple[int, float]] = []

    def learnt(node: int, content: RecordDict) -> RecordDict:
        asked.append((node, float(np.sum(arrays_of(content)["w"].numpy()))))  # another for each version
        return content

    grid = devices(lambda node: 500.0 if node == 1 else 10.0, learnt)
    steps = run(buffered(3), grid, work(40))
    assert len(asked) == len(set(asked))
    assert grid.clock.now() < 200.0
    assert {taken.node for step in steps for taken in step.taken} == set(range(2, 9))


def test_no_more_devices_are_at_work_than_may_be() -> None:
    draw, at_work, most = random.Random(1), set[int](), [0]

    def pace(node: int) -> float:
        at_work.add(node)
        most[0] = max(most[0], len(at_work))
        return draw.uniform(1, 30)

    def done(node: int, content: RecordDict) -> RecordDict:
        at_work.remove(node)
        return content

    run(buffered(2, concurrency=3), devices(pace, done), work(30), seed=5)
    assert most == [3]


def test_a_device_that_drops_out_is_asked_again_after_ones_patience() -> None:
    tries = dict.fromkeys(ALL, 0)

    def pace(node: int) -> float | None:
        tries[node] += 1
        return None if node == 3 and tries[node] < 3 else 1.0

    grid = devices(pace)
    steps = run(buffered(8, patience=60.0), grid, work(1))
    assert [taken.node for taken in steps[0].taken] == list(ALL)
    assert tries[3] == 3
    assert 120.0 <= grid.clock.now() < 140.0


def test_the_answer_of_a_device_that_was_away_counts_when_it_is_back() -> None:
    """Flower would answer in its place, and take no other answer, if it were looked for meanwhile."""
    looked_for: list[str] = []

    class Leaving(SimulatedGrid):
        def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
            wanted = list(message_ids)
            looked_for.extend(wanted if self.clock.now() > 10.0 and 8 not in self.nodes else ())
            return super().pull_messages(wanted)

    grid = devices(lambda _: 20.0)
    grid.__class__ = Leaving

    def come_and_go(step: Step) -> None:
        grid.nodes = [node for node in ALL if node != 8 or step.number > 2]

    told: list[Step] = []
    run(buffered(4), grid, work(6), on_step=lambda step: (told.append(step), come_and_go(step)))
    stale = [taken for step in told for taken in step.taken if taken.node == 8 and taken.staleness]
    assert stale, "what it learnt while it was away was used"
    assert stale[0].message_id not in looked_for


def test_an_update_that_waits_while_its_device_goes_on_keeps_the_model_that_it_began_with() -> None:
    """All answer at once, and a step takes one: devices are asked anew meanwhile, and answer again."""
    steps = run(buffered(1), devices(lambda _: 0.0), work(12))
    assert [taken.staleness for step in steps[:8] for taken in step.taken] == [*range(8)]
    assert len(steps) == 12


def test_fewer_updates_make_a_step_when_nobody_else_is_left() -> None:
    steps = run(buffered(50), devices(), work(2))
    assert [len(step.taken) for step in steps] == [8, 8]


def test_what_is_wrong_with_an_update_is_told_and_the_others_make_the_step() -> None:
    def wrong(node: int, content: RecordDict) -> RecordDict | Error:
        match node:
            case 2:
                arrays_of(content)["w"] = Array(np.full((5, 3), np.nan, "f4"))
            case 3:
                return Error(code=0, reason="out of memory")
            case 4:
                metrics_of(content)["num-examples"] = 10**9
            case 5:
                metrics_of(content)["zest"] = 1.0
            case 6:
                del arrays_of(content)["b"]
            case 7:
                metrics_of(content)["loss"] = float("inf")
            case _:
                pass
        return content

    steps = run(buffered(8), devices(change=wrong), work(2))
    assert [taken.node for taken in steps[0].taken] == [1, 8]
    assert {refused.node: refused.reason for refused in steps[0].refused} == {
        2: "w holds NaN (15 of 15 values are not finite)",
        3: "out of memory",
        4: "it claims 1e+09 samples, more than 1e+08",
        5: "it has the metric 'zest', which nobody asked for",
        6: "it lacks the 'b'",
        7: "its metric 'loss' is not finite",
    }
    assert all(np.isfinite(array.numpy()).all() for array in steps[1].arrays.values())


def test_a_device_that_always_fails_is_asked_less_and_less_often() -> None:
    grid = devices(change=lambda *_: Error(code=0, reason="no"))
    grid.nodes = [1]
    with pytest.raises(Unavailable, match="no device has sent an update for 4000 s: 1 are connected"):
        run(buffered(2, min_available_nodes=1), grid, work(1, timeout=4000.0))
    assert grid.instructions < 25


def test_a_step_that_takes_too_long_is_made_of_what_has_come() -> None:
    grid = devices(lambda node: 1.0 if node < 4 else None)
    steps = run(buffered(8, patience=1000.0), grid, work(1, timeout=300.0))
    assert [taken.node for taken in steps[0].taken] == [1, 2, 3]
    assert 300.0 <= grid.clock.now() < 310.0


def test_a_run_that_nobody_answers_ends_and_says_so() -> None:
    with pytest.raises(Unavailable, match="8 are connected, 8 are at work"):
        run(buffered(3), devices(lambda _: None), work(1, timeout=500.0))


def test_too_few_devices_are_waited_for_and_no_longer_than_may_be() -> None:
    grid = devices()
    grid.nodes = [1]
    with pytest.raises(Unavailable, match="no device has sent an update for 60 s: 1 are connected, 0 are at work"):
        run(buffered(3), grid, work(1, timeout=60.0))
    assert grid.instructions == 0


def test_updates_that_are_too_stale_are_given_up_and_asked_for_no_more() -> None:
    grid = devices(lambda node: 1000.0 if node == 1 else 10.0)
    steps = run(buffered(7, max_staleness=2, patience=2000.0), grid, work(8))
    assert next((step.number, step.given_up) for step in steps if step.given_up) == (3, ["m0"])
    assert all(taken.staleness <= 2 for step in steps for taken in step.taken)


def test_no_more_bases_are_kept_than_an_update_may_be_stale() -> None:
    kept: list[int] = []

    class Counted(MemoryBases):
        def forget_all_but(self, versions: Collection[int]) -> None:
            kept.append(len(versions))
            super().forget_all_but(versions)

    draw = random.Random(3)
    grid = devices(lambda _: draw.paretovariate(1.0))
    run(buffered(2, max_staleness=4), grid, work(60), bases=Counted())
    assert 2 < max(kept) <= 5


def test_what_comes_after_the_last_step_is_given_up_with_it() -> None:
    steps = run(buffered(3), devices(lambda node: node * 10.0), work(1))
    assert [taken.node for taken in steps[0].taken] == [1, 2, 3]
    assert len(steps[0].given_up) == 5


def test_devices_evaluate_beside_training_and_the_hub_at_once() -> None:
    told: list[Evaluated] = []
    on_hub, asked = MetricRecord({"accuracy": 0.5}), list[int]()

    def evaluate(number: int, _: object) -> MetricRecord:
        asked.append(number)
        return on_hub

    grid = devices(lambda node: 10.0 + node)
    run(FedBuff(buffer_size=8, evaluate_every=2), grid, work(5, evaluate=evaluate), on_evaluated=told.append)
    assert [each.step for each in told] == asked == [2, 4, 5], "every second, and the last"
    assert all(each.of_hub == on_hub for each in told)
    assert [dict(each.of_devices or {}) for each in told] == [{"accuracy": pytest.approx(0.45)}] * 3


def test_an_evaluation_is_left_out_while_half_of_the_devices_are_at_an_earlier_one() -> None:
    told: list[Evaluated] = []
    draw = random.Random(2)
    grid = devices(lambda node: 100.0 if node > 3 and draw.random() < 0.8 else 10.0)
    run(FedBuff(buffer_size=3, patience=400.0), grid, work(60), on_evaluated=told.append)
    assert 5 < len(told) < 40
    assert told[-1].step == 60


def test_a_device_whose_evaluation_has_other_metrics_does_not_end_the_run() -> None:
    def odd(node: int, content: RecordDict) -> RecordDict:
        if "arrays" not in content and node in changes:
            metrics_of(content).update(changes[node])
        if "arrays" not in content and node == 6:
            del content["metrics"]
        return content

    changes = {
        2: {"recall": 1.0},
        3: {"accuracy": float("nan")},
        4: {"num-examples": 0},
        5: {"num-examples": 10**9},
    }
    told: list[Evaluated] = []
    run(FedBuff(buffer_size=8), devices(change=odd), work(1), on_evaluated=told.append)
    of_devices = told[0].of_devices
    assert of_devices is not None
    assert dict(of_devices) == {"accuracy": pytest.approx((1 + 7 + 8) / 30)}
    assert {refused.node: refused.reason for refused in told[0].refused} == {
        2: "it has the metric 'recall', which the others do not have",
        3: "its metric 'accuracy' is not finite",
        4: "it stands on 0 samples",
        5: "it claims 1e+09 samples, more than 1e+08",
        6: "it has 0 metric records, not one",
    }
