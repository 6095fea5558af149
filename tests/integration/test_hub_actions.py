"""What a device is asked to do once reaches it alone, and its result is kept once, whatever is repeated."""

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
import zstandard

from core_hub import CoreHub, TestDevice, log_batch, problem, running_core
from flip_wire.actions import ActionResult, Outcome
from flip_wire.fleet import DesiredState


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mongo_url: str) -> AsyncGenerator[CoreHub]:
    with TemporaryDirectory(prefix="flip-") as folder:
        async with running_core(Path(folder), mongo_url) as hub:
            yield hub


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _ask(hub: CoreHub, device: TestDevice, **wanted: object) -> httpx.Response:
    return await hub.post(f"/api/v1/devices/{device.id}/actions", wanted, hub.as_user())


async def _desired(hub: CoreHub, device: TestDevice, after: int | None = None) -> DesiredState | None:
    query = "" if after is None else f"?after={after}&wait=0"
    answer = await hub.http.get(f"/api/v1/device/desired{query}", headers=device.headers)
    return None if answer.status_code == 304 else msgspec.json.decode(answer.content, type=DesiredState)


async def _shown(hub: CoreHub, device: TestDevice, action: str) -> dict[str, Any]:
    answer = await hub.http.get(f"/api/v1/devices/{device.id}/actions/{action}", headers=hub.as_user())
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _tell(hub: CoreHub, device: TestDevice, result: ActionResult, seq: int) -> None:
    batch = log_batch([seq], epoch=device.id, kind="action", body=msgspec.to_builtins(result))
    answer = await hub.post("/api/v1/device/telemetry", batch, device.headers)
    assert answer.status_code == 200, answer.text


async def test_an_action_is_queued_delivered_and_done_and_its_generation_grows_for_that_device_alone(
    hub: CoreHub,
) -> None:
    device, other = await hub.enrol("north"), await hub.enrol("south")
    before, others = await _desired(hub, device), await _desired(hub, other)
    assert before is not None
    assert others is not None
    asked = await _ask(hub, device, kind="doctor", reason="it is slow")
    assert asked.status_code == 201, asked.text
    action = asked.json()
    assert (action["state"], action["asked_by"]) == ("queued", "admin")
    desired = await _desired(hub, device, before.generation)
    assert desired is not None
    assert desired.generation > before.generation
    assert [(each.id, each.kind) for each in desired.actions] == [(action["id"], "doctor")]
    assert await _desired(hub, other, others.generation) is None, "nothing has changed for the other one"
    assert (await _shown(hub, device, action["id"]))["state"] == "queued", "an answer may be lost on the way"
    assert await _desired(hub, device, desired.generation) is None
    assert (await _shown(hub, device, action["id"]))["state"] == "delivered"
    device_shown = (await hub.http.get(f"/api/v1/devices/{device.id}", headers=hub.as_user())).json()
    assert [(each["what"], each["wanted"]) for each in device_shown["differences"]] == [("action", "doctor")]

    text = "all is well\n" * 5000
    result = ActionResult(
        id=action["id"], outcome=Outcome.DONE, text="fine", at=time.time(), log=zstandard.compress(text.encode())
    )
    await _tell(hub, device, result, 1)
    await _tell(hub, device, msgspec.structs.replace(result, outcome=Outcome.FAILED, text="again"), 2)
    done = await _shown(hub, device, action["id"])
    assert (done["state"], done["text"], done["exit_status"]) == ("done", "fine", 0), "the first result is final"
    log = await hub.http.get(f"/api/v1/devices/{device.id}/actions/{action['id']}/log", headers=hub.as_user())
    assert log.text == text
    after = await _desired(hub, device, desired.generation)
    assert after is not None
    assert after.actions == []
    assert after.generation > desired.generation
    events = await hub.http.get(f"/api/v1/devices/{device.id}/events?kind=action", headers=hub.as_user())
    assert [event["body"]["log"] for event in events.json()] == ["", ""], "a log is kept once, with its action"


async def test_an_action_that_no_device_hears_of_in_time_expires_and_is_not_wanted_any_more(hub: CoreHub) -> None:
    device = await hub.enrol("asleep")
    action = (await _ask(hub, device, kind="restart", lifetime=0.1)).json()
    before = await _desired(hub, device, None)
    assert before is not None
    async with asyncio.timeout(60):
        while (await _shown(hub, device, action["id"]))["state"] != "expired":
            await asyncio.sleep(0.1)
        while (after := await _desired(hub, device, None)) is None or after.actions:  # a moment later
            await asyncio.sleep(0.1)
    assert after.generation > before.generation
    late = ActionResult(id=action["id"], outcome=Outcome.DONE, text="it was begun in time")
    await _tell(hub, device, late, 1)
    assert (await _shown(hub, device, action["id"]))["state"] == "done", "what a device has done, it has done"


async def test_no_device_ends_the_action_of_another(hub: CoreHub) -> None:
    device, other = await hub.enrol("asked"), await hub.enrol("meddler")
    action = (await _ask(hub, device, kind="collect-logs")).json()
    await _tell(hub, other, ActionResult(id=action["id"], outcome=Outcome.DONE, text="mine"), 1)
    assert (await _shown(hub, device, action["id"]))["state"] == "queued"
    desired = await _desired(hub, device)
    assert desired is not None
    assert [each.id for each in desired.actions] == [action["id"]]


async def test_what_cannot_be_asked_is_refused_with_the_way_out(hub: CoreHub) -> None:
    device = await hub.enrol("bounded")
    assert "kind" in problem(await _ask(hub, device, kind="explode"), 400).detail
    assert "lifetime" in problem(await _ask(hub, device, kind="doctor", lifetime=0), 422).detail
    assert "rollback" in problem(await _ask(hub, device, kind="doctor", model="digits"), 422).detail
    for _ in range(16):
        assert (await _ask(hub, device, kind="doctor")).status_code == 201
    assert "16 actions" in problem(await _ask(hub, device, kind="doctor"), 409).detail
    await hub.core.devices.revoke(device.id)
    assert "revoked" in problem(await _ask(hub, device, kind="doctor"), 409).detail
    missing = await hub.http.get(f"/api/v1/devices/{device.id}/actions/act-none", headers=hub.as_user())
    problem(missing, 404)


async def test_a_model_is_tried_with_an_input_and_nothing_else_has_one(hub: CoreHub) -> None:
    device = await hub.enrol("tries")
    inputs = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [0.5]}]}
    made = await _ask(hub, device, kind="try", model="digits", input=inputs)
    assert made.status_code == 201, made.text
    desired = await _desired(hub, device)
    assert desired is not None
    assert msgspec.json.decode(desired.actions[0].input) == inputs
    problem(await _ask(hub, device, kind="try", model="digits"), 422)
    problem(await _ask(hub, device, kind="doctor", input=inputs), 422)
    problem(await _ask(hub, device, kind="try", input={"inputs": ["x" * 70_000]}), 422)
