"""Agents of this version and of the one before are served, others told the way out; two with one key are found."""

import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
from msgspec import Struct

from core_hub import CoreHub, TestDevice, log_batch, new_device, problem, running_core
from flip_hub.auth.permissions import Role
from flip_hub.devices.lives import ON_THE_WAY
from flip_hub.live import DeviceChanged, Frame
from flip_wire.fleet import DeviceId, token_assertion
from flip_wire.version import HEADER, OLDEST_SPOKEN, WIRE_VERSION

GOLDEN = Path(__file__).parents[1] / "wire" / "golden"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mongo_url: str) -> AsyncGenerator[CoreHub]:
    with TemporaryDirectory(prefix="flip-") as folder:
        async with running_core(Path(folder), mongo_url) as hub:
            yield hub


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _device(hub: CoreHub, device: TestDevice) -> dict[str, Any]:
    return (await hub.http.get(f"/api/v1/devices/{device.id}", headers=hub.as_user())).json()


# ---- versions ------------------------------------------------------------------------------------------------------


class DesiredOfVersion4(Struct, frozen=True, kw_only=True):
    """As agents of that version read it."""

    generation: int
    models: list[dict[str, object]] = []
    work: list[dict[str, object]] = []
    actions: list[dict[str, object]] = []


async def test_an_agent_of_the_version_before_joins_asks_and_delivers_with_the_messages_of_then(hub: CoreHub) -> None:
    assert OLDEST_SPOKEN == 4, "this test speaks the messages of the version before: write one for the next"
    golden = msgspec.json.decode((GOLDEN / f"v{OLDEST_SPOKEN}.json").read_bytes())
    says = {HEADER: str(OLDEST_SPOKEN)}
    key = new_device()
    enrol = {**golden["EnrolRequest"], "token": await hub.enrolment_token(), "public_key": key.public_key}
    enrolled = await hub.post("/api/v1/enrol", enrol, says)
    assert enrolled.status_code == 201, enrolled.text
    device = replace(key, id=DeviceId(enrolled.json()["device_id"]))
    assertion = msgspec.to_builtins(device.assertion())
    asked = {name: assertion[name] for name in golden["TokenRequest"]}
    assert token_assertion("d", 1.0, "n", "l") == b"flip-device-token\nd\n1.000\nn\nl", "what was signed then"
    token = await hub.post("/api/v1/device/token", asked, says)
    assert set(token.json()) == set(golden["DeviceToken"])
    device = replace(device, token=token.json()["token"])
    desired = await hub.http.get("/api/v1/device/desired", headers=device.headers | says)
    assert msgspec.json.decode(desired.content, type=DesiredOfVersion4).generation >= 0
    bodies = {
        "gap": "Gap",
        "health": "HealthReport",
        "state": "ReportedState",
        "spans": "Spans",
        "rollback": "RolledBack",
        "action": "ActionResult",
    }
    event = golden["Batch"]["events"][0]
    told = [
        {**event, "seq": seq, "kind": kind, "body": golden[name]} for seq, (kind, name) in enumerate(bodies.items(), 1)
    ]
    sent = await hub.post("/api/v1/device/telemetry", {**golden["Batch"], "events": told}, device.headers | says)
    assert sent.status_code == 200, sent.text
    assert set(sent.json()) == set(golden["BatchAccepted"])
    shown = await _device(hub, device)
    assert (shown["wire_version"], shown["events_accepted"]) == (OLDEST_SPOKEN, len(bodies))
    assert shown["health"]["rss"] == golden["HealthReport"]["rss"]


async def test_the_version_of_the_last_call_is_shown(hub: CoreHub) -> None:
    device = await hub.enrol("updated")
    for version in (OLDEST_SPOKEN, WIRE_VERSION):
        headers = {**device.headers, HEADER: str(version)}
        assert (await hub.http.get("/api/v1/device/desired", headers=headers)).status_code == 200
        assert (await _device(hub, device))["wire_version"] == version


@pytest.mark.parametrize(
    ("version", "way_out"), [(OLDEST_SPOKEN - 1, "update the agent"), (WIRE_VERSION + 1, "update the hub")]
)
async def test_other_versions_are_refused_on_every_call_and_told_the_way_out(
    hub: CoreHub, version: int, way_out: str
) -> None:
    device = await hub.enrol(f"of version {version}")
    headers = {**device.headers, HEADER: str(version)}
    told = {
        "desired": await hub.http.get("/api/v1/device/desired?after=0&wait=30", headers=headers),
        "telemetry": await hub.post("/api/v1/device/telemetry", log_batch([1]), headers),
        "token": await hub.post("/api/v1/device/token", device.assertion(), headers),
    }
    for name, answer in told.items():  # 403: for an agent that is no refusal of what it sends, so nothing is lost
        assert way_out in problem(answer, 403).hint, name
    refused = await hub.try_enrol(new_device(), await hub.enrolment_token(), "new", wire_version=version)
    assert way_out in problem(refused, 422).hint
    assert (await _device(hub, device))["events_accepted"] == 0
    assert (
        "Flip-Wire"
        in problem(
            await hub.http.get("/api/v1/device/desired", headers={**device.headers, HEADER: "three"}), 403
        ).detail
    )


# ---- clones --------------------------------------------------------------------------------------------------------


async def _alive(hub: CoreHub, device: TestDevice, life: str) -> TestDevice:
    token = await hub.post("/api/v1/device/token", device.assertion(life=life))
    assert token.status_code == 200, token.text
    return replace(device, token=token.json()["token"])


async def _calls(hub: CoreHub, device: TestDevice) -> httpx.Response:
    return await hub.http.get("/api/v1/device/desired", headers=device.headers)


async def test_two_agents_with_one_key_are_flagged_with_both_until_an_operator_clears_it(hub: CoreHub) -> None:
    device = await hub.enrol("copied")
    one, other = await _alive(hub, device, "life of one"), await _alive(hub, device, "life of the other")
    with hub.core.live.reading() as reader:
        for _ in range(ON_THE_WAY + 2):
            for each in (one, other):
                assert (await _calls(hub, each)).status_code == 200, "flagged, not shut out: that is for people"
        flagged = False
        while not flagged:
            frame = msgspec.json.decode(await reader.next(), type=Frame)
            flagged = isinstance(frame, DeviceChanged) and frame.data.clone is not None
    shown = (await _device(hub, device))["clone"]
    assert {life["id"] for life in shown["lives"]} == {"life of one", "life of the other"}
    assert {life["address"] for life in shown["lives"]} == {"127.0.0.1"}
    viewer = await hub.http.delete(f"/api/v1/devices/{device.id}/clone", headers=hub.as_user(Role.VIEWER))
    problem(viewer, 403)
    cleared = await hub.http.delete(f"/api/v1/devices/{device.id}/clone", headers=hub.as_user())
    assert cleared.json()["clone"] is None
    for _ in range(20):
        await _calls(hub, one)
    assert (await _device(hub, device))["clone"] is None, "the other one was stopped"
    for _ in range(ON_THE_WAY + 2):
        await _calls(hub, other)
        await _calls(hub, one)
    assert (await _device(hub, device))["clone"] is not None, "it was not"


async def test_an_agent_that_is_started_again_and_again_is_no_clone(hub: CoreHub) -> None:
    device = await hub.enrol("restless")
    for number in range(2 * ON_THE_WAY + 4):
        for _ in range(2):
            await _calls(hub, await _alive(hub, device, f"life {number}"))
    assert (await _device(hub, device))["clone"] is None


async def test_a_nonce_that_was_used_is_not_good_again_in_another_place(hub: CoreHub) -> None:
    """Under the same signature the end of the nonce could be taken for the life, and the other way round."""
    device = await hub.enrol("replayed")
    spoken = device.assertion(nonce="12345678", life="abcd")
    assert (await hub.post("/api/v1/device/token", spoken)).status_code == 200
    moved = msgspec.structs.replace(spoken, nonce="12345678\nabcd", life="")
    assert moved.assertion() == spoken.assertion()
    problem(await hub.post("/api/v1/device/token", moved), 422)
    other_life = msgspec.structs.replace(spoken, life="another", nonce="87654321")
    problem(await hub.post("/api/v1/device/token", other_life), 401)


# ---- what people know of devices -----------------------------------------------------------------------------------


async def test_tags_groups_site_and_note_are_kept_and_what_is_left_out_stays(hub: CoreHub) -> None:
    device = await hub.enrol("named")
    path = f"/api/v1/devices/{device.id}"

    async def patch(**fields: object) -> httpx.Response:
        return await hub.http.patch(path, content=msgspec.json.encode(fields), headers=hub.as_user())

    first = (await patch(tags=["roof", "ring:beta"], groups=["north"], note="behind the door", site="Bern")).json()
    assert (first["tags"], first["groups"], first["note"]) == (["roof", "ring:beta"], ["north"], "behind the door")
    second = (await patch(tags=[])).json()
    assert (second["tags"], second["site"], second["note"]) == ([], "Bern", "behind the door")
    assert (await patch()).json()["site"] == "Bern"
    for wrong in ({"tags": ["two words"]}, {"tags": ["x"] * 33}, {"note": "x" * 4001}, {"name": "other"}):
        problem(await patch(**wrong), 400)
    problem(await hub.http.patch("/api/v1/devices/none", content=b"{}", headers=hub.as_user()), 404)


async def test_a_device_that_was_never_heard_is_unknown_since_it_was_enrolled(hub: CoreHub) -> None:
    answer = await hub.try_enrol(new_device(), await hub.enrolment_token(), "silent")
    shown = (await hub.http.get(f"/api/v1/devices/{answer.json()['device_id']}", headers=hub.as_user())).json()
    assert shown["status"] == "unknown"
    assert shown["unknown_since"] == shown["enrolled_at"] <= time.time()
    heard = await hub.enrol("loud")
    await _calls(hub, heard)
    assert (await _device(hub, heard))["unknown_since"] is None
