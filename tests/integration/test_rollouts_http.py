"""What people ask of rollouts over HTTP, and what they are told: real registry, real calls."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace
from rollout_fleet import EVERYBODY, HALF, LAB, Box, RolloutHub, boxes, hub, wanted

from alert_rig import until
from any_requests import failures_of_any_requests
from core_hub import problem
from flip_hub.auth.permissions import Role
from flip_hub.rollouts.schemas import Standing

pytestmark = pytest.mark.asyncio
__all__ = ["boxes", "hub"]

BAD: list[tuple[dict[str, object], int, str]] = [
    ({"version": 9, "rings": [EVERYBODY]}, 404, "no version 9 of model 'digits'"),
    ({"version": 1, "rings": [EVERYBODY]}, 409, "every device is meant to serve version 1 of digits already"),
    ({"version": 2, "rings": [LAB]}, 422, "the last ring, 'lab', is not everybody"),
    ({"version": 2, "rings": [{"name": "x", "tags": ["sea"]}, EVERYBODY]}, 422, "ring 'x' is empty: no device"),
    ({"version": 2, "rings": [{"name": "x", "share": 0}, EVERYBODY]}, 400, "rings[0].share"),
    ({"version": 2, "rings": [{"name": "x", "share": 1.5}, EVERYBODY]}, 400, "rings[0].share"),
    ({"version": 2, "rings": [{"name": "x", "soak": -1}, EVERYBODY]}, 400, "rings[0].soak"),
    ({"version": 2, "rings": [{"name": "x", "colour": "red"}, EVERYBODY]}, 400, "colour"),
    ({"version": 2, "rings": [{"name": "two words"}, EVERYBODY]}, 400, "rings[0].name"),
    ({"version": 2, "gates": {"errors": 1.1}}, 400, "gates.errors"),
    ({"version": 2, "gates": {"errors": "nan"}}, 400, "gates.errors"),
    ({"version": 2, "gates": {"error": 0.1}}, 400, "error"),
    ({"version": 0}, 400, "version"),
]


async def test_bad_input_is_refused_and_named(hub: RolloutHub, boxes: list[Box]) -> None:
    for request, status, named in BAD:
        body = {"model": "digits", **request}
        told = problem(await hub.hub.post("/api/v1/rollouts", body, hub.hub.as_user()), status)
        assert named in told.detail, request
    assert await wanted(boxes) == [1] * 6


async def test_two_of_one_model_at_once_are_refused_with_the_way_out_and_so_is_a_promotion(
    hub: RolloutHub, boxes: list[Box]
) -> None:
    rollout = await hub.start(2, LAB, EVERYBODY)
    for told in (
        problem(await hub.try_start(3, EVERYBODY), 409),
        problem(await hub.hub.post("/api/v1/models/digits/versions/3/promote", {}, hub.hub.as_user()), 409),
    ):
        assert told.detail == f"{rollout.id} is bringing version 2 of digits to the fleet"
        assert told.hint == f"wait for its end, or: flip-hub rollouts rollback {rollout.id}"
    answers = await asyncio.gather(*(hub.try_start(3, EVERYBODY) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {409}
    assert await wanted(boxes) == [2, 1, 1, 1, 1, 1]


async def test_people_halt_resume_and_roll_back_what_they_may_and_it_is_shown_who_and_why(
    hub: RolloutHub, boxes: list[Box]
) -> None:
    rollout = await hub.start(2, LAB, HALF, EVERYBODY)
    for what in ("halt", "resume", "rollback"):
        problem(await hub.ask(rollout, what, role=Role.VIEWER), 403)
        problem(await hub.ask(replace(rollout, id="rollout-0"), what), 404)
    problem(await hub.ask(rollout, "resume"), 409)
    assert (await hub.ask(rollout, "halt", "lunch")).json()["status"] == "halted"
    problem(await hub.ask(rollout, "halt"), 409)
    await hub.look(*boxes, later=61)
    await hub.look(later=61)
    assert await wanted(boxes) == [2, 1, 1, 1, 1, 1], "no further ring opens"
    assert (await hub.ask(rollout, "resume")).json()["status"] == "running"
    await hub.look()
    assert (await wanted(boxes)).count(2) > 1
    assert (await hub.ask(rollout, "rollback", "smells wrong")).json()["reason"] == "smells wrong"
    await hub.look(*boxes)
    assert await wanted(boxes) == [1] * 6
    steps = [(step.kind, step.by, step.reason) for step in (await hub.rollout(rollout)).steps]
    assert steps[2] == ("halted", "operator", "lunch")
    assert steps[-1] == ("rolled back", "operator", "smells wrong")
    versions = (await hub.hub.http.get("/api/v1/models/digits/versions", headers=hub.hub.as_user())).json()
    assert [each["withdrawn"] for each in versions] == ["", "smells wrong", ""]


async def test_what_the_hub_decides_by_itself_is_in_the_audit(hub: RolloutHub, boxes: list[Box]) -> None:
    boxes[1].refuses.add(2)
    rollout = await hub.start(2, LAB, {"name": "rest", "share": 0.9, "soak": 0}, EVERYBODY, gates={"refusals": 0.0})
    await hub.look(*boxes)
    await hub.look(*boxes, later=61)
    await hub.look(*boxes)
    audit = await hub.hub.http.get(f"/api/v1/audit?subject={rollout.id}", headers=hub.hub.as_user())
    told = [(entry["action"], entry["actor"]) for entry in reversed(audit.json())]
    assert told == [
        ("POST /api/v1/rollouts", "operator"),
        ("rollout passed", ""),
        ("rollout opened", ""),
        ("rollout rolled back", ""),
    ]
    assert "version 2 of digits: ring rest: refusals: 1 of 6 devices refused it" in audit.json()[0]["detail"]


async def test_devices_are_listed_by_ring_with_how_far_they_are(hub: RolloutHub, boxes: list[Box]) -> None:
    boxes[1].refuses.add(2)
    boxes[2].gives_up.add(2)
    rollout = await hub.start(2, LAB, EVERYBODY, gates={"refusals": 1, "rollbacks": 1})
    listed = await hub.devices(rollout)
    assert {name: each.ring for name, each in listed.items()} == {
        f"box {number}": "lab" if number == 0 else "everybody" for number in range(6)
    }
    assert listed["box 1"].standing is Standing.WAITING
    await hub.look(boxes[0])
    await hub.look(*boxes[:4], later=61)
    await hub.look(*boxes[:4])
    listed = await hub.devices(rollout)
    assert [each.standing for each in listed.values()] == [
        *("serving", "refused", "rolled back", "serving", "bringing", "bringing")
    ]
    assert (listed["box 1"].reason, listed["box 1"].serves) == ("probe differs by 0.5", 1)
    assert list(await hub.devices(rollout, ring="lab")) == ["box 0"]
    path = f"/api/v1/rollouts/{rollout.id}/devices"
    page = await hub.hub.http.get(f"{path}?limit=4", headers=hub.hub.as_user())
    rest = await hub.hub.http.get(page.links["next"]["url"], headers=hub.hub.as_user())
    assert [each["name"] for each in rest.json()] == ["box 4", "box 5"]
    no_ring = await hub.hub.http.get(f"{path}?ring=x", headers=hub.hub.as_user())
    assert "it has lab, everybody" in problem(no_ring, 404).hint
    for search, count in (("model=digits", 1), ("model=other", 0), ("status=running", 1), ("status=done", 0)):
        found = await hub.hub.http.get(f"/api/v1/rollouts?{search}", headers=hub.hub.as_user(Role.VIEWER))
        assert len(found.json()) == count, search


async def test_a_device_shows_what_it_shall_serve_and_since_when(hub: RolloutHub, boxes: list[Box]) -> None:
    rollout = await hub.start(2, LAB, EVERYBODY)
    shown = (await hub.hub.http.get(f"/api/v1/devices/{boxes[0].device.id}", headers=hub.hub.as_user())).json()
    (difference,) = shown["differences"]
    assert (difference["wanted"], difference["reported"]) == ("2", "1")
    assert difference["since"] == rollout.rings[0].opened_at
    other = (await hub.hub.http.get(f"/api/v1/devices/{boxes[1].device.id}", headers=hub.hub.as_user())).json()
    assert other["differences"] == []


async def test_whatever_is_asked_of_rollouts_is_answered_as_described(
    hub: RolloutHub, boxes: list[Box], folder: Path
) -> None:
    await hub.start(2, LAB, EVERYBODY)
    found = await failures_of_any_requests(
        hub.hub.url, hub.hub.as_user(), examples=5, seconds=15, folder=folder, only="/rollouts"
    )
    assert not found, found


async def test_a_ring_that_opens_is_no_read_for_each_device_that_waits(hub: RolloutHub, boxes: list[Box]) -> None:
    polls = [
        asyncio.create_task(
            hub.hub.http.get(
                f"/api/v1/device/desired?after={box.generation}&wait=30", headers=box.device.headers, timeout=40
            )
        )
        for box in boxes
    ]
    await until(lambda: _waiting(hub, len(boxes)))
    profiler = hub.hub.mongo.database
    await profiler.command("profile", 2)
    await hub.start(2, LAB, EVERYBODY)
    answers = await asyncio.gather(*polls)
    await hub.hub.core.devices.get(boxes[0].device.id)
    await profiler.command("profile", 0)
    wanted_now = [answer.json()["models"][0]["version"] for answer in answers]
    assert wanted_now == [2, 1, 1, 1, 1, 1]
    single = {"ns": f"{profiler.name}.devices", "command.filter._id": {"$type": "string"}}
    assert await profiler["system.profile"].count_documents(single) == 1, "the one that is asked for here"


async def _waiting(hub: RolloutHub, count: int) -> bool:
    return hub.hub.core.devices.polls.waiting == count
