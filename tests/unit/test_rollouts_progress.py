"""What becomes of a rollout, look by look."""

import pytest
from msgspec.structs import replace

from flip_hub.devices.reach import Located
from flip_hub.problem import Conflict
from flip_hub.rollouts.progress import halted, looked, resumed, rolled_back
from flip_hub.rollouts.request import new_rollout
from flip_hub.rollouts.schemas import DeviceCounts, Figures, RingState, Rollout, RolloutStatus, StepKind
from flip_hub.rollouts.sightings import Seen
from flip_hub.rollouts.terms import Gates, Ring
from flip_wire.models import ModelAssignment, Sha256
from unit.test_rollouts_rings import boxes

RINGS = [Ring(name="canary", share=0.1, soak=60), Ring(name="half", share=0.5, soak=60), Ring(name="all", soak=0)]
ALL = [DeviceCounts(devices=2, serving=2), DeviceCounts(devices=8, serving=8), DeviceCounts(devices=10, serving=10)]
NONE = Figures()


def made(before: int | None = 1) -> Rollout:
    devices: list[Located] = [*boxes(20)]
    versions = [ModelAssignment(model="m", version=number, manifest=Sha256(""), size=1) for number in (2, before or 1)]
    return new_rollout(
        versions[0], versions[1] if before else None, RINGS, Gates(), devices, by="ada", run_id="", at=0.0
    )


def look(
    rollout: Rollout, at: float, *counts: DeviceCounts, now: Figures = NONE, before: Figures = NONE, own: Figures = NONE
) -> Rollout:
    """`before` on all devices, `own` on those of the open rings."""
    told = [*counts] or ALL[: rollout.opened]
    return looked(rollout, Seen(counts=told, now=now, before=own, elsewhere=before), at)


def kinds(rollout: Rollout) -> list[str]:
    return [f"{step.kind} {step.ring}".strip() for step in rollout.steps]


def test_a_good_version_passes_ring_after_ring_each_after_its_soak() -> None:
    rollout = made()
    for at, opened in ((1, 1), (60, 1), (61, 2), (62, 2), (121, 2), (122, 3)):
        rollout = look(rollout, at)
        assert rollout.opened == opened, at
    rollout = look(rollout, 123)
    assert (rollout.status, rollout.ended_at) == (RolloutStatus.DONE, 123)
    assert [ring.passed_at for ring in rollout.rings] == [61, 122, 123]
    assert kinds(rollout) == [
        *("started", "opened canary", "passed canary", "opened half", "passed half", "opened all", "passed all", "done")
    ]


def test_a_ring_that_passed_without_evidence_says_so_in_its_step() -> None:
    rollout = look(look(made(), 1), 61)
    passed = next(step for step in rollout.steps if step.kind is StepKind.PASSED)
    assert passed.reason == "without evidence of errors, slowdown, accuracy: 0 calls, 0 feedbacks"
    well = Figures(answered=100, median=0.01, judged=60, correct=60)
    rollout = look(look(made(), 1, now=well, before=well), 61, now=well, before=well)
    assert [step.reason for step in rollout.steps if step.kind is StepKind.PASSED] == [""]


def test_the_soak_begins_when_all_gates_are_passed_and_waits_for_them_at_its_end() -> None:
    rollout = look(made(), 100, DeviceCounts(devices=2))
    assert rollout.rings[0].soaking_since is None
    assert "0 devices serve it, 1 must" in rollout.rings[0].why
    rollout = look(rollout, 200)
    assert (rollout.rings[0].soaking_since, rollout.rings[0].why) == (200, "it is watched for 60 s")
    rollout = look(rollout, 300, DeviceCounts(devices=3, serving=2))
    assert rollout.rings[0].state is RingState.OPEN, "a device has come that has not brought it yet"
    assert look(rollout, 301).opened == 2, "the soak is over"


def test_a_gate_that_fails_rolls_everybody_back_and_says_which_and_why() -> None:
    rollout = look(look(made(), 1), 61)
    bad = Figures(answered=50, failed=50)
    failed = look(rollout, 70, now=bad)
    assert failed.status is RolloutStatus.ROLLED_BACK
    assert "ring half: errors: it could not compute 50 of 100 calls" in failed.reason
    assert [ring.state for ring in failed.rings] == [RingState.PASSED, RingState.FAILED, RingState.PENDING]
    assert (failed.steps[-1].kind, failed.steps[-1].by) == (StepKind.ROLLED_BACK, "")


def test_the_version_before_is_judged_by_what_was_known_when_most_was_known() -> None:
    rollout = look(made(), 1, before=Figures(answered=900, failed=100, judged=10, correct=10))
    rollout = look(rollout, 2, before=Figures(answered=10, judged=60, correct=50))
    assert rollout.figures_before == Figures(answered=900, failed=100, judged=60, correct=50)
    assert look(rollout, 3, now=Figures(answered=450, failed=50)).status is RolloutStatus.RUNNING


def test_the_version_before_is_judged_on_the_same_devices_where_enough_is_known_there() -> None:
    everywhere = Figures(answered=9000, median=0.01, judged=900, correct=900)
    slow_boxes = Figures(answered=100, median=0.1, judged=10, correct=1)
    rollout = look(made(), 1, now=Figures(answered=100, median=0.12), before=everywhere, own=slow_boxes)
    assert rollout.status is RolloutStatus.RUNNING, "it is as quick as the one before, on these devices"
    assert rollout.figures_before == Figures(answered=100, median=0.1, judged=900, correct=900)


def test_a_halted_one_opens_no_ring_and_is_watched_all_the_same() -> None:
    rollout = halted(look(made(), 1), "ada", "lunch", 2)
    assert (rollout.status, rollout.reason) == (RolloutStatus.HALTED, "lunch")
    later = look(rollout, 100)
    assert (later.opened, later.rings[0].why) == (1, "all gates are passed, and the rollout is halted")
    assert look(resumed(later, "ada", "", 101), 102).opened == 2
    assert look(later, 103, DeviceCounts(devices=2, rolled_back=2)).status is RolloutStatus.ROLLED_BACK


def test_a_ring_of_nobody_passes_without_soaking_once_the_others_serve() -> None:
    rollout = look(look(made(), 1), 61)
    assert look(rollout, 62, ALL[0], DeviceCounts()).opened == 3
    assert look(made(), 1, DeviceCounts()).opened == 1, "nobody at all shows nothing"


def test_a_look_that_sees_nothing_new_changes_nothing() -> None:
    rollout = look(made(), 1)
    assert look(rollout, 2) == rollout


def test_what_does_not_follow_from_a_state_is_refused_with_a_way_out() -> None:
    rollout = made()
    with pytest.raises(Conflict, match="is running"):
        resumed(rollout, "ada", "", 1)
    over = rolled_back(rollout, "ada", "", 1)
    for decide in (halted, resumed, rolled_back):
        with pytest.raises(Conflict, match="is rolled back"):
            decide(over, "ada", "", 2)
    with pytest.raises(Conflict, match="is halted"):
        halted(halted(rollout, "ada", "", 1), "ada", "", 2)


def test_a_rollback_with_no_version_before_says_that_devices_keep_it() -> None:
    failed = look(made(before=None), 1, DeviceCounts(devices=2, refused=2))
    assert "there is no version before" in failed.reason
    done = replace(made(before=None), status=RolloutStatus.DONE)
    with pytest.raises(Conflict, match="there is no version before"):
        rolled_back(done, "ada", "", 1)


def test_steps_are_bounded_and_the_newest_stay() -> None:
    rollout = made()
    for number in range(80):
        rollout = resumed(halted(rollout, "ada", f"{number}", 1), "ada", "", 1)
    assert len(rollout.steps) == 100
    assert rollout.steps[-2].reason == "79"
