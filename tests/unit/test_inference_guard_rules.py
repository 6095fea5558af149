"""When a version must give way: by what was counted of it and of the version before, and never by noise."""

from collections.abc import Callable

import pytest

from flip_agent.inference.engine.batcher import Costs
from flip_agent.inference.guard.objections import (
    Agreement,
    Figures,
    Limits,
    accuracy_objection,
    agreement_objection,
    error_objection,
    latency_objection,
    shadow_objection,
)

LIMITS = Limits(judged_by=50, max_error_rate=0.1, max_slowdown=3.0, min_agreement=0.9, min_accuracy=0.8)
OFF = Limits(judged_by=1, max_error_rate=1.0, max_slowdown=0.0, min_agreement=0.0, min_accuracy=0.0)


def feedback(correct: int, judged: int) -> Figures:
    return Figures(judged=judged, correct=correct)


def calls(count: int, failed: int = 0, p99: float = 0.01) -> Figures:
    return Figures(calls=count, failed=failed, p99=p99)


def beside(
    calls: int, agreeing: float = 1.0, failed: int = 0, seconds: float = 0.1, reference: float = 0.1
) -> Agreement:
    return Agreement(
        calls=calls,
        rows=100 * calls,
        agreeing=round(100 * calls * agreeing),
        failed=failed,
        seconds=seconds * calls,
        reference_seconds=reference * calls,
    )


@pytest.mark.parametrize(
    ("now", "before", "objects"),
    [
        (feedback(39, 50), feedback(0, 0), True),
        (feedback(40, 50), feedback(0, 0), False),
        (feedback(0, 49), feedback(0, 0), False),  # too few
        (feedback(30, 50), feedback(30, 50), False),  # the version before was no better: the world has changed
        (feedback(30, 50), feedback(31, 50), True),
        (feedback(30, 50), feedback(0, 49), True),  # of the one before too little is known to excuse this one
    ],
)
def test_accuracy(now: Figures, before: Figures, objects: bool) -> None:
    assert bool(accuracy_objection(LIMITS, now, before)) is objects


@pytest.mark.parametrize(
    ("now", "before", "objects"),
    [
        (calls(50, failed=6), calls(500), True),
        (calls(50, failed=5), calls(500), False),
        (calls(49, failed=49), calls(500), False),  # too few
        (calls(50, failed=50), calls(500, failed=500), False),  # apps send what no version computes
        (calls(50, failed=10), calls(500, failed=40), True),
        (calls(50, failed=50), calls(0), True),  # a restart has forgotten the version before
    ],
)
def test_calls_that_fail(now: Figures, before: Figures, objects: bool) -> None:
    assert bool(error_objection(LIMITS, now, before)) is objects


@pytest.mark.parametrize(
    ("now", "before", "slowdown", "objects"),
    [
        (calls(50, p99=0.4), calls(50, p99=0.1), 4.0, True),
        (calls(50, p99=0.3), calls(50, p99=0.1), 4.0, False),
        (calls(50, p99=4.0), calls(50, p99=0.1), 1.1, False),  # the machine is busy, or there are more calls
        (calls(50, p99=0.019), calls(50, p99=0.001), 19.0, False),  # slow for nobody
        (calls(49, p99=4.0), calls(50, p99=0.1), 40.0, False),
        (calls(50, p99=4.0), calls(49, p99=0.1), 40.0, False),
        (calls(100, failed=51, p99=4.0), calls(50, p99=0.1), 40.0, False),  # those that failed have no latency
    ],
)
def test_slow_answers(now: Figures, before: Figures, slowdown: float, objects: bool) -> None:
    assert bool(latency_objection(LIMITS, now, before, slowdown)) is objects


@pytest.mark.parametrize(
    ("seen", "objects"),
    [(beside(50, 0.89), True), (beside(50, 0.9), False), (beside(49, 0.0), False), (beside(0), False)],
)
def test_agreement_with_the_version_before(seen: Agreement, objects: bool) -> None:
    assert bool(agreement_objection(LIMITS, seen)) is objects


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (beside(50), ""),
        (beside(49, 0.0, failed=49), ""),
        (beside(50, failed=6), "cannot compute 6 of 50"),
        (beside(50, failed=5), ""),
        (beside(50, seconds=0.4), "4.0 times as much"),
        (beside(50, seconds=0.012, reference=0.001), ""),  # slow for nobody
        (beside(50, 0.5), "2500 of 5000 rows"),
    ],
)
def test_a_version_beside_live_traffic(seen: Agreement, says: str) -> None:
    reason = shadow_objection(LIMITS, seen)
    assert says in reason if says else reason == ""


@pytest.mark.parametrize(
    "objection",
    [
        lambda: accuracy_objection(OFF, feedback(0, 99), feedback(99, 99)),
        lambda: error_objection(OFF, calls(99, failed=99), calls(99)),
        lambda: latency_objection(OFF, calls(99, p99=60.0), calls(99), 99.0),
        lambda: agreement_objection(OFF, beside(99, 0.0)),
        lambda: shadow_objection(OFF, beside(99, 0.0, failed=99, seconds=60.0)),
    ],
)
def test_what_is_switched_off_never_objects(objection: Callable[[], str]) -> None:
    assert objection() == ""


def test_the_cpu_of_two_versions_is_compared_at_sizes_that_both_computed_and_else_in_favour_of_the_new_one() -> None:
    before, after = Costs(), Costs()
    assert after.beside(before) == 1.0
    after.note(1, 0.010)
    assert after.beside(before) == 1.0
    before.note(1, 0.001)
    assert after.beside(before) == pytest.approx(10)
    after.note(64, 0.064)  # as before for each row
    assert after.beside(before) == pytest.approx(1.0)
