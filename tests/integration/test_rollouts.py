"""A version goes to the fleet ring by ring, and comes back by itself when it does badly: real registry, real calls."""

import asyncio

import msgspec
import pytest
from rollout_fleet import EVERYBODY, HALF, HEARTBEAT, LAB, Box, RolloutHub, boxes, hub, wanted

from alert_rig import until
from core_hub import problem
from flip_hub.devices.schemas import DevicePatch
from flip_hub.rollouts.schemas import Rollout, RolloutStatus, Standing
from flip_hub.rollouts.store import RolloutRecord

pytestmark = pytest.mark.asyncio
__all__ = ["boxes", "hub"]


async def _are_wanted(boxes: list[Box], versions: list[int]) -> bool:
    """Soon: it is another process that has decided it."""
    return await wanted(boxes) == versions


async def test_a_good_version_passes_three_rings_and_is_promoted_at_the_end(hub: RolloutHub, boxes: list[Box]) -> None:
    rollout = await hub.start(2, LAB, HALF, EVERYBODY)
    assert await wanted(boxes) == [2, 1, 1, 1, 1, 1]
    await hub.look(*boxes)
    assert (await hub.rollout(rollout)).rings[0].why == "it is watched for 60 s"
    assert await wanted(boxes) == [2, 1, 1, 1, 1, 1]
    await hub.look(later=61)
    half = await wanted(boxes)
    assert (half[0], half.count(2)) == (2, len(await hub.devices(rollout, ring="half")) + 1)
    assert 2 <= half.count(2) <= 4
    await hub.look(*boxes)
    await hub.look(later=61)
    assert await wanted(boxes) == [2] * 6
    assert (await hub.rollout(rollout)).status is RolloutStatus.RUNNING
    assert await hub.promoted() == [1]
    await hub.look(*boxes)
    done = await hub.rollout(rollout)
    assert (done.status, done.rings[2].counts.serving + done.rings[1].counts.serving) == (RolloutStatus.DONE, 5)
    assert await hub.promoted() == [2]
    assert await wanted(boxes) == [2] * 6
    generation = (await hub.hub.core.devices.desired()).generation
    await hub.look(*boxes, later=600)
    assert (await hub.hub.core.devices.desired()).generation == generation, "nothing is done twice"


async def test_a_version_that_the_first_ring_refuses_is_taken_back_and_not_brought_again(
    hub: RolloutHub, boxes: list[Box]
) -> None:
    boxes[0].refuses.add(2)
    rollout = await hub.start(2, LAB, HALF, EVERYBODY)
    await hub.look(*boxes)
    failed = await hub.rollout(rollout)
    assert failed.status is RolloutStatus.ROLLED_BACK
    assert "ring lab: refusals: 1 of 1 devices refused it" in failed.reason
    assert (await wanted(boxes), await hub.promoted()) == ([1] * 6, [1])
    told = problem(await hub.try_start(2, EVERYBODY), 409)
    assert "version 2 of digits was withdrawn: ring lab" in told.detail
    assert "--again" in told.hint
    promote = await hub.hub.post("/api/v1/models/digits/versions/2/promote", {}, hub.hub.as_user())
    assert "withdrawn" in problem(promote, 409).detail
    boxes[0].refuses.clear()
    again = await hub.start(2, EVERYBODY, again=True)
    await hub.look(*boxes)
    assert (await hub.rollout(again)).status is RolloutStatus.DONE
    assert await wanted(boxes) == [2] * 6


async def test_a_version_that_guards_of_the_second_ring_give_up_is_taken_back_everywhere(
    hub: RolloutHub, boxes: list[Box]
) -> None:
    rollout = await hub.start(2, LAB, HALF, EVERYBODY)
    await hub.look(*boxes)
    for box in boxes[1:]:
        box.gives_up.add(2)
    await hub.look(later=61)
    await hub.look(*boxes)
    failed = await hub.rollout(rollout)
    assert failed.status is RolloutStatus.ROLLED_BACK
    assert "rollbacks:" in failed.reason
    assert [ring.state for ring in failed.rings] == ["passed", "failed", "pending"]
    assert boxes[0].serves == 2
    await hub.look(*boxes)
    assert [box.serves for box in boxes] == [1] * 6, "also those that did well with it"


async def test_errors_beyond_those_of_the_version_before_take_it_back(hub: RolloutHub, boxes: list[Box]) -> None:
    for box in boxes:
        box.answers(1, 990, failed=10)
    await hub.look(*boxes)
    rollout = await hub.start(2, LAB, HALF, EVERYBODY)
    boxes[0].answers(2, 40, failed=60)
    await hub.look(*boxes)
    failed = await hub.rollout(rollout)
    assert failed.status is RolloutStatus.ROLLED_BACK
    assert "could not compute 60 of 100 calls, the version before 10 of 1000" in failed.reason, "on the same device"
    assert (failed.figures.failed, failed.figures_before.calls) == (60, 1000)
    assert await wanted(boxes) == [1] * 6


async def test_slow_answers_and_wrong_ones_take_it_back(hub: RolloutHub, boxes: list[Box]) -> None:
    boxes[1].answers(1, 1000, p50=0.01, judged=100, correct=95)
    slow = await hub.start(2, LAB, EVERYBODY)
    boxes[0].answers(2, 1000, p50=0.1)
    await hub.look(*boxes)
    assert (
        "slowdown: its middle answer takes 100.0 ms, that of the version before 10.0 ms"
        in (await hub.rollout(slow)).reason
    )
    wrong = await hub.start(3, LAB, EVERYBODY)
    boxes[0].answers(3, 1000, p50=0.01, judged=100, correct=60)
    await hub.look(*boxes)
    assert "accuracy: 60 of 100 answers were right" in (await hub.rollout(wrong)).reason


async def test_one_that_is_tried_again_is_judged_by_what_comes_from_then_on(hub: RolloutHub, boxes: list[Box]) -> None:
    boxes[0].refuses.add(2)
    boxes[0].answers(2, 10, failed=90)
    await hub.start(2, LAB, EVERYBODY)
    await hub.look(*boxes)
    boxes[0].refuses.clear()
    again = await hub.start(2, LAB, EVERYBODY, again=True)
    await hub.parts.watch.look()
    assert (await hub.rollout(again)).status is RolloutStatus.RUNNING, "what it said then is no answer now"
    boxes[0].answers(2, 110, failed=91)
    await hub.look(*boxes)
    seen = await hub.rollout(again)
    assert (seen.status, seen.figures.calls, seen.figures.failed) == (RolloutStatus.RUNNING, 101, 1)
    boxes[0].answers(2, 5, failed=95)
    await hub.look(*boxes)
    assert "it could not compute 95 of 100 calls" in (await hub.rollout(again)).reason, "its server was restarted"


async def test_a_device_that_was_away_for_all_of_it_ends_with_the_right_version(
    hub: RolloutHub, boxes: list[Box]
) -> None:
    away, here = boxes[5], boxes[:5]
    good = await hub.start(2, {**LAB, "soak": 20}, EVERYBODY)
    await hub.look(*here)
    await hub.look(*here, later=21)
    await hub.look(*here)
    assert (await hub.rollout(good)).status is RolloutStatus.RUNNING, "it was heard of a moment ago"
    await hub.look(later=2 * HEARTBEAT + 1)
    for box in here:
        await box.report()
    await hub.look()
    assert (await hub.rollout(good)).status is RolloutStatus.DONE
    assert (await hub.devices(good))["box 5"].standing is Standing.SILENT
    await away.act()
    assert away.serves == 2
    bad = await hub.start(3, LAB, EVERYBODY)
    boxes[0].refuses.add(3)
    await hub.look(*boxes)
    assert (await hub.rollout(bad)).status is RolloutStatus.ROLLED_BACK
    await away.act()
    assert away.serves == 2


async def test_a_hub_that_is_restarted_in_the_middle_of_a_ring_goes_on_where_it_was(
    hub: RolloutHub, boxes: list[Box]
) -> None:
    rollout = await hub.start(2, LAB, HALF, EVERYBODY)
    await hub.look(*boxes)
    before = await hub.rollout(rollout)
    second = hub.restarted()
    await second.look(later=30)
    assert (await hub.rollout(rollout)).rings[0].soaking_since == before.rings[0].soaking_since
    await second.look(later=31)
    third = second.restarted()

    async def is_done() -> bool:
        await third.look(*boxes, later=61)
        for stale in (hub, second):  # they do not know that they are the holder no more
            await stale.look()
        return (await hub.rollout(rollout)).status is RolloutStatus.DONE

    await until(is_done)
    assert [step.kind for step in (await hub.rollout(rollout)).steps] == [
        *("started", "opened", "passed", "opened", "passed", "opened", "passed", "done")
    ]
    assert await wanted(boxes) == [2] * 6


async def test_what_was_decided_before_a_crash_is_carried_out_after_it(hub: RolloutHub, boxes: list[Box]) -> None:
    answer = await hub.try_start(2, LAB, EVERYBODY)
    rollout = msgspec.json.decode(answer.content, type=Rollout)
    assert await wanted(boxes) == [1] * 6, "the holder died before it looked"
    await hub.restarted().look(*boxes)
    await until(lambda: _are_wanted(boxes, [2, 1, 1, 1, 1, 1]))
    assert (await hub.ask(rollout, "rollback", "smells wrong")).status_code == 200
    assert await wanted(boxes) == [2, 1, 1, 1, 1, 1]
    await hub.restarted().look()
    await until(lambda: _are_wanted(boxes, [1] * 6))
    audit = await hub.hub.http.get(f"/api/v1/audit?subject={rollout.id}", headers=hub.hub.as_user())
    calls = ["POST /api/v1/rollouts/{rollout}/rollback", "POST /api/v1/rollouts"]
    assert [entry["action"] for entry in audit.json()] == calls


async def test_a_rollback_that_meets_a_newer_rollout_waits_for_it_and_holds_nothing_up(
    hub: RolloutHub, boxes: list[Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both were allowed in the same moment."""
    old = await hub.start(2, EVERYBODY)
    await hub.look(*boxes)
    newer: list[Rollout] = []
    allowed = hub.parts.rollouts._check_in_place  # pyright: ignore[reportPrivateUsage]

    async def and_then_another_starts(record: RolloutRecord) -> None:
        await allowed(record)
        newer.append(await hub.start(3, LAB, EVERYBODY))

    monkeypatch.setattr(hub.parts.rollouts, "_check_in_place", and_then_another_starts)
    await hub.parts.rollouts.roll_back(old.id, "smells wrong", "ada")
    for later in (0, 61, 1):
        await hub.look(*boxes, later=later)
    assert (await hub.rollout(newer[0])).status is RolloutStatus.DONE
    assert (await hub.rollout(old)).reason == "smells wrong"
    assert await wanted(boxes) == [3] * 6, "what is newer is not taken back"


async def test_one_that_is_done_goes_back_by_a_person_s_word_as_long_as_it_is_what_devices_shall_serve(
    hub: RolloutHub, boxes: list[Box]
) -> None:
    first = await hub.start(2, EVERYBODY)
    await hub.look(*boxes)
    assert (await hub.rollout(first)).status is RolloutStatus.DONE
    assert (await hub.ask(first, "rollback", "worse at night")).status_code == 200
    await hub.look(*boxes)
    assert ([box.serves for box in boxes], await hub.promoted()) == ([1] * 6, [1])
    second = await hub.start(3, EVERYBODY)
    await hub.look(*boxes)
    await hub.parts.models.promote("digits", 1)
    told = problem(await hub.ask(second, "rollback"), 409)
    assert "not meant to serve version 3 of digits any more" in told.detail


async def test_a_device_whose_tags_change_or_that_joins_gets_what_its_ring_gets(
    hub: RolloutHub, boxes: list[Box]
) -> None:
    rollout = await hub.start(2, LAB, EVERYBODY)
    new = await hub.box("new")
    poll = asyncio.create_task(
        hub.hub.http.get(
            f"/api/v1/device/desired?after={boxes[3].generation + 1}&wait=30", headers=boxes[3].device.headers
        )
    )
    await hub.hub.core.devices.patch(boxes[3].device.id, DevicePatch(tags=["lab"]))
    assert [each["version"] for each in (await poll).json()["models"]] == [2], "its long poll is woken"
    assert await new.wanted() == 1
    assert (await hub.devices(rollout, ring="lab")).keys() == {"box 0", "box 3"}
    await hub.hub.core.devices.patch(boxes[3].device.id, DevicePatch(tags=[]))
    assert await boxes[3].wanted() == 1


async def test_without_a_version_before_devices_that_have_it_keep_it_and_others_never_get_it(
    hub: RolloutHub, boxes: list[Box]
) -> None:
    await hub.hub.mongo.database["fleet"].update_one({}, {"$set": {"models": []}})
    for box in boxes:
        box.serves = None
    rollout = await hub.start(2, LAB, EVERYBODY)
    await hub.look(*boxes)
    assert boxes[0].serves == 2
    boxes[0].answers(2, 10, failed=90)
    await hub.look(*boxes)
    assert "there is no version before" in (await hub.rollout(rollout)).reason
    assert [box.serves for box in boxes] == [2, None, None, None, None, None]


async def test_what_a_hub_staged_that_is_the_holder_no_more_is_taken_away(hub: RolloutHub, boxes: list[Box]) -> None:
    rollout = await hub.start(2, LAB, EVERYBODY)
    (staged,) = (await hub.hub.core.devices.fleet.look()).staged
    assert (await hub.ask(rollout, "rollback")).status_code == 200
    await hub.look(*boxes)
    await hub.hub.core.devices.fleet.stage(staged)
    assert await wanted(boxes) == [2, 1, 1, 1, 1, 1]
    await hub.look()
    assert await wanted(boxes) == [1] * 6
    assert (await hub.try_start(3, EVERYBODY)).status_code == 201
