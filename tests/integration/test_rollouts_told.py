"""What becomes of a rollout is told wherever people look: by command, alert, lineage and live frame."""

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from rollout_fleet import EVERYBODY, HALF, LAB, Box, RolloutHub, boxes, hub, wanted

from alert_rig import QUICK, alerting, alerts, until
from flip_hub.lineage.schemas import Lineage
from flip_hub.live import Frame, RolloutChanged
from flip_hub.rollouts.schemas import Rollout, RolloutStatus
from flip_hub_command import flip_hub

pytestmark = pytest.mark.asyncio
__all__ = ["boxes", "hub"]


async def test_a_rollout_is_started_shown_halted_resumed_and_rolled_back_by_command(
    hub: RolloutHub, boxes: list[Box], folder: Path
) -> None:
    async def typed(*arguments: str, status: int = 0) -> str:
        ran = await flip_hub(folder, "rollouts", *arguments, state=hub.settings.hub.state)
        assert ran.returncode == status, ran.stderr
        return ran.stdout or ran.stderr

    rings = ("--ring", "lab,tag=lab,soak=60", "--ring", "half,share=0.5", "--ring", "everybody,soak=0")
    made = await typed("start", "digits", "2", *rings, "--gate", "errors=0.01", "--gate", "calls=10", "--json")
    rollout = msgspec.json.decode(made, type=Rollout)
    assert [(ring.ring.share, ring.ring.tags, ring.ring.soak) for ring in rollout.rings] == [
        *((1.0, ["lab"], 60.0), (0.5, [], 900.0), (1.0, [], 0.0)),
    ]
    assert (rollout.gates.errors, rollout.gates.calls, rollout.gates.refusals) == (0.01, 10, 0.1)
    await hub.look(*boxes)
    listed = await typed("list")
    assert f"{rollout.id}  digits  2        running  1/3" in listed
    assert "0 calls, 10 are needed" in listed
    assert await typed("list", "--status", "done") == "ID  MODEL  VERSION  STATUS  RINGS  STARTED  WHY\n"
    shown = await typed("show", rollout.id, "--devices")
    assert "ring lab (tag lab): open, 1 of 1 serve it; 0 calls, 10 are needed" in shown
    assert "gate serving: passed: 1 device serves it, 1 must" in shown
    assert f"{boxes[0].device.id}  box 0  lab" in shown
    assert "is halted" in await typed("halt", rollout.id, "--reason", "lunch")
    assert "is halted: lunch" in await typed("show", rollout.id)
    assert "is running" in await typed("resume", rollout.id)
    assert "is rolled back" in await typed("rollback", rollout.id, "--reason", "smells wrong")
    assert "is rolled back (flip-hub rollouts show says why)" in await typed("rollback", rollout.id, status=1)
    await hub.look(*boxes)
    assert await wanted(boxes) == [1] * 6
    for arguments, named in (
        (("--ring", "a,share=2"), "--ring 'a,share=2': share is not possible (it must be a number <= 1.0)"),
        (("--gate", "errors=2"), "--gate errors=2: errors is not possible (it must be a number <= 1.0)"),
        (("--ring", "a,colour=red"), "there is no key 'colour'"),
        (("--gate", "error=1"), "--gate: there is no gate 'error' (there are: serving, "),
        (("--ring", "a,share=0.1"), "add one without share, tags and sites at the end"),
    ):
        assert named in await typed("start", "digits", "3", *arguments, status=1)


async def test_one_that_the_hub_rolled_back_is_an_alert_and_one_of_a_person_is_none(
    hub: RolloutHub, boxes: list[Box]
) -> None:
    by_hand = await hub.start(3, LAB, EVERYBODY)
    await hub.ask(by_hand, "rollback", "smells wrong")
    await hub.look(*boxes)
    boxes[0].refuses.add(2)
    failed = await hub.start(2, LAB, EVERYBODY)
    await hub.look(*boxes)
    async with alerting(hub.hub, replace(hub.settings, alerts=QUICK)):
        (alert,) = await until(lambda: alerts(hub.hub, rule="rollout"))
    assert (alert.subject, alert.severity) == (failed.id, "critical")
    assert "version 2 of digits was taken back from the fleet: ring lab: refusals" in alert.text
    assert alert.url.endswith(f"/rollouts/{failed.id}")


async def test_the_lineage_of_a_version_shows_its_rollouts_and_the_ring_of_each_device(
    hub: RolloutHub, boxes: list[Box]
) -> None:
    rollout = await hub.start(2, LAB, HALF, EVERYBODY)
    await hub.look(*boxes)
    path = "/api/v1/models/digits/versions/2/lineage"
    told = msgspec.json.decode((await hub.hub.http.get(path, headers=hub.hub.as_user())).content, type=Lineage)
    assert [each.id for each in told.rollouts] == [rollout.id]
    assert (told.rings, told.deployed) == ({boxes[0].device.id: "lab"}, 1)
    await hub.look(later=61)
    await hub.look(*boxes)
    told = msgspec.json.decode((await hub.hub.http.get(path, headers=hub.hub.as_user())).content, type=Lineage)
    half = {each.device_id: "half" for each in (await hub.devices(rollout, ring="half")).values()}
    assert told.rings == {boxes[0].device.id: "lab", **half}
    assert {each.device_id for each in told.deployments} == set(told.rings)


async def test_consoles_hear_of_each_step(hub: RolloutHub, boxes: list[Box]) -> None:
    with hub.hub.core.live.reading() as reader:
        rollout = await hub.start(2, EVERYBODY)
        await hub.look(*boxes)
        seen: list[RolloutStatus] = []
        while RolloutStatus.DONE not in seen:
            frame = msgspec.json.decode(await reader.next(), type=Frame)
            if isinstance(frame, RolloutChanged):
                assert frame.data.id == rollout.id
                seen.append(frame.data.status)
