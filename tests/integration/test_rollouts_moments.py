"""What of a rollout must hold in a bad moment: a rollback meets a promotion or a kill; what devices have told is
deleted for its age, or begins anew."""

import pytest
from rollout_fleet import EVERYBODY, LAB, Box, RolloutHub, boxes, hub, wanted

from flip_hub.devices.fleet_state import FleetState
from flip_hub.models.store import ModelStore
from flip_hub.rollouts.schemas import RolloutStatus, StepKind
from flip_wire.models import ModelAssignment

pytestmark = pytest.mark.asyncio
__all__ = ["boxes", "hub"]


async def test_a_version_promoted_in_the_moment_of_a_rollback_stays(
    hub: RolloutHub, boxes: list[Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await hub.start(2, EVERYBODY)
    await hub.look(*boxes)
    fleet = hub.hub.core.devices.fleet
    take_back = fleet.take_back

    async def and_a_person_promotes(brought: ModelAssignment, before: ModelAssignment) -> bool:
        replace_fleet = fleet._store.replace_fleet  # pyright: ignore[reportPrivateUsage]
        store = fleet._store  # pyright: ignore[reportPrivateUsage]

        async def first(state: FleetState, generation: int) -> bool:
            monkeypatch.setattr(store, "replace_fleet", replace_fleet)
            await hub.parts.models.promote("digits", 3)
            return await replace_fleet(state, generation)

        monkeypatch.setattr(store, "replace_fleet", first)
        return await take_back(brought, before)

    monkeypatch.setattr(fleet, "take_back", and_a_person_promotes)
    assert (await hub.ask(done, "rollback", "worse at night")).status_code == 200
    await hub.look(*boxes)
    assert ([box.serves for box in boxes], await hub.promoted()) == ([3] * 6, [3])


async def test_a_rollback_that_a_crash_cuts_off_is_told_in_full_afterwards(
    hub: RolloutHub, boxes: list[Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await hub.start(2, EVERYBODY)
    await hub.look(*boxes)
    assert (await hub.ask(done, "rollback", "worse at night")).status_code == 200

    async def dies(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(ModelStore, "promote", dies)
        with pytest.raises(RuntimeError, match="killed"):
            await hub.parts.watch.look()
    assert (await wanted(boxes), await hub.promoted()) == ([1] * 6, [2])
    await hub.restarted().look()
    assert await hub.promoted() == [1]


async def test_a_device_that_went_back_counts_for_as_long_as_the_rollout_goes_on(
    hub: RolloutHub, boxes: list[Box]
) -> None:
    """Longer than events are kept."""
    rollout = await hub.start(
        2, {"name": "half", "share": 0.5, "soak": 10 * 86400}, EVERYBODY, gates={"rollbacks": 0.5}
    )
    first, second, *_ = [box for box in boxes if await box.wanted() == 2]
    first.gives_up.add(2)
    await hub.look(*boxes)
    assert (await hub.rollout(rollout)).rings[0].counts.rolled_back == 1
    await hub.hub.mongo.database["events"].delete_many({})
    second.gives_up.add(2)
    second.serves = 1
    await hub.look(second)
    failed = await hub.rollout(rollout)
    assert (failed.status, failed.rings[0].counts.rolled_back) == (RolloutStatus.ROLLED_BACK, 2)
    assert "2 of 3 devices went back from it" in failed.reason


async def test_a_server_that_begins_anew_leaves_too_little_to_judge_by_and_the_rollout_says_so(
    hub: RolloutHub, boxes: list[Box]
) -> None:
    rollout = await hub.start(2, LAB, EVERYBODY)
    boxes[0].answers(2, 60)
    await hub.look(*boxes)
    judged = {check.gate: check.judged for check in (await hub.rollout(rollout)).checks}
    assert judged["errors"]
    boxes[0].answers(2, 5)
    await boxes[0].report()
    await hub.look(later=61)
    (passed,) = [step for step in (await hub.rollout(rollout)).steps if step.kind is StepKind.PASSED]
    assert passed.reason == "without evidence of errors, slowdown, accuracy: 5 calls, 0 feedbacks"


async def test_a_ring_that_needs_calls_waits_for_them_anew_when_a_server_begins_anew(
    hub: RolloutHub, boxes: list[Box]
) -> None:
    rollout = await hub.start(2, LAB, EVERYBODY, gates={"calls": 50})
    boxes[0].answers(2, 60)
    await hub.look(*boxes)
    boxes[0].answers(2, 5)
    await boxes[0].report()
    await hub.look(later=61)
    (lab, _) = (await hub.rollout(rollout)).rings
    assert (lab.state, lab.why) == ("open", "5 calls, 50 are needed")
