"""When a version may go on to more devices, when it must wait, and when it must be taken back."""

import pytest

from flip_hub.rollouts.gates import Evidence, checks
from flip_hub.rollouts.schemas import DeviceCounts, Figures, Verdict, together
from flip_hub.rollouts.terms import Gates

WELL = DeviceCounts(devices=10, serving=10)
GOOD = Figures(answered=1000, median=0.01, judged=200, correct=180)


def seen(
    ring: DeviceCounts = WELL, all: DeviceCounts | None = None, now: Figures = GOOD, before: Figures = GOOD
) -> Evidence:
    return Evidence(ring=ring, all=ring if all is None else all, now=now, before=before)


def verdicts(evidence: Evidence, **gates: float) -> dict[str, Verdict]:
    """Of the gates that are not passed."""
    said = checks(Gates(**gates), evidence)  # pyright: ignore[reportArgumentType]
    assert all(check.text for check in said)
    return {check.gate: check.verdict for check in said if check.verdict is not Verdict.PASSED}


def test_a_version_that_does_as_well_as_the_one_before_passes() -> None:
    assert verdicts(seen()) == {}


def test_it_waits_for_the_least_number_of_devices_or_all_where_they_are_fewer() -> None:
    three = DeviceCounts(devices=10, serving=3, silent=7)
    assert verdicts(seen(three), serving=5) == {"serving": Verdict.WAITING}
    assert verdicts(seen(DeviceCounts(devices=3, serving=3)), serving=5) == {}
    assert verdicts(seen(DeviceCounts())) == {"serving": Verdict.WAITING}


def test_it_waits_for_devices_that_are_heard_of_and_not_for_silent_ones() -> None:
    assert verdicts(seen(DeviceCounts(devices=10, serving=8))) == {"settled": Verdict.WAITING}
    assert verdicts(seen(DeviceCounts(devices=10, serving=8, silent=2))) == {}
    assert verdicts(seen(DeviceCounts(devices=10, serving=8)), settled=0.8) == {}


@pytest.mark.parametrize("kind", ["refused", "rolled_back"])
def test_too_many_refusals_or_rollbacks_fail_and_a_few_early_ones_only_wait(kind: str) -> None:
    gate = {"refused": "refusals", "rolled_back": "rollbacks"}[kind]
    limit = {gate: 0.1}
    early = DeviceCounts(devices=100, serving=1, **{kind: 1})
    assert verdicts(seen(early), settled=0.0, **limit) == {gate: Verdict.WAITING}, "1 of 2, and 98 are still to come"
    assert verdicts(seen(DeviceCounts(devices=100, serving=89, **{kind: 11})), **limit) == {gate: Verdict.FAILED}
    assert verdicts(seen(DeviceCounts(devices=100, serving=90, **{kind: 10})), **limit) == {}
    offline = DeviceCounts(devices=100, silent=98, **{kind: 2})
    assert verdicts(seen(offline), **limit)[gate] is Verdict.FAILED, "those who are away say nothing for it"


def test_errors_are_judged_beside_the_version_before_and_on_enough_calls() -> None:
    bad = Figures(answered=950, failed=50)
    assert verdicts(seen(now=bad, before=Figures(answered=1000))) == {"errors": Verdict.FAILED}
    assert verdicts(seen(now=bad, before=Figures(answered=960, failed=40))) == {}, "the world is bad"
    assert verdicts(seen(now=bad, before=Figures(failed=20))) == {"errors": Verdict.FAILED}, "too little to compare"
    assert verdicts(seen(now=Figures(answered=10, failed=39), before=Figures())) == {}, "too few calls"
    assert verdicts(seen(now=bad, before=Figures(answered=1000)), errors=1.0) == {}


def test_slowness_is_judged_beside_the_version_before_and_beyond_what_anybody_feels() -> None:
    quick, slow = Figures(answered=1000, median=0.02), Figures(answered=1000, median=0.05)
    assert verdicts(seen(now=slow, before=quick)) == {"slowdown": Verdict.FAILED}
    assert verdicts(seen(now=slow, before=quick), slowdown=3.0) == {}
    assert verdicts(seen(now=slow, before=quick), slowdown=0.0) == {}
    assert verdicts(seen(now=quick, before=Figures(answered=1000, median=0.001))) == {}, "20 ms is slow for nobody"
    assert verdicts(seen(now=slow, before=Figures(answered=10, median=0.001))) == {}


def test_one_device_that_hangs_makes_no_version_slow() -> None:
    """A mean would be a hundred times the version before."""
    well, hangs = Figures(answered=100, median=0.03), Figures(answered=30, median=30.0)
    now, before = together([well, well, hangs, well]), together([well] * 4)
    assert (now.answered, now.median) == (330, 0.03)
    assert verdicts(seen(now=now, before=before)) == {}
    assert verdicts(seen(now=together([well, hangs, hangs, hangs, hangs]), before=before)) == {
        "slowdown": Verdict.FAILED
    }
    assert together([Figures(answered=5), Figures(failed=2, median=9.0)]).median == 0.0, "nothing is told of answers"


def test_a_gate_that_had_too_little_to_judge_says_so() -> None:
    unjudged = [check.gate for check in checks(Gates(), seen(now=Figures())) if not check.judged]
    assert unjudged == ["errors", "slowdown", "accuracy"]
    assert all(check.judged for check in checks(Gates(), seen()))


def test_accuracy_is_judged_beside_the_version_before_and_by_the_least_that_is_asked() -> None:
    poor, fair = Figures(judged=100, correct=80), Figures(judged=100, correct=90)
    assert verdicts(seen(now=poor, before=fair)) == {"accuracy": Verdict.FAILED}
    assert verdicts(seen(now=poor, before=fair), accuracy_loss=0.2) == {}
    assert verdicts(seen(now=poor, before=Figures()), accuracy=0.85) == {"accuracy": Verdict.FAILED}
    assert verdicts(seen(now=poor, before=poor), accuracy=0.85) == {}, "the version before does no better"
    assert verdicts(seen(now=Figures(judged=20), before=fair)) == {}, "too few feedbacks"


def test_calls_and_feedbacks_that_are_asked_for_are_waited_for() -> None:
    assert verdicts(seen(), calls=1001, feedbacks=201) == {"calls": Verdict.WAITING, "feedbacks": Verdict.WAITING}
    assert verdicts(seen(), calls=1000, feedbacks=200) == {}
