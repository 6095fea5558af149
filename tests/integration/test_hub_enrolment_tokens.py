"""Tokens for one device or several: as often as they may be used, until they expire or are revoked, and never shown
again."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import pytest_asyncio

from core_hub import CoreHub, new_device, problem, running_core
from flip_hub.auth.permissions import Role


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mongo_url: str) -> AsyncGenerator[CoreHub]:
    with TemporaryDirectory(prefix="flip-") as folder:
        async with running_core(Path(folder), mongo_url) as hub:
            yield hub


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _create(hub: CoreHub, **wanted: object) -> dict[str, Any]:
    answer = await hub.post("/api/v1/enrolment-tokens", wanted, hub.as_user())
    assert answer.status_code == 201, answer.text
    return answer.json()


async def _listed(hub: CoreHub, token_id: str) -> dict[str, Any]:
    answer = await hub.http.get("/api/v1/enrolment-tokens?limit=1000", headers=hub.as_user())
    (found,) = [each for each in answer.json() if each["id"] == token_id]
    return found


async def test_a_batch_token_is_good_for_so_many_devices_and_gives_them_site_and_tags(hub: CoreHub) -> None:
    token = await _create(hub, uses=3, tags=["ring:beta"], site="Bern", note="first delivery")
    first = new_device()
    for number, device in enumerate([first, new_device(), first, new_device()]):
        answer = await hub.try_enrol(device, token["token"], f"batch {0 if device is first else number}")
        assert answer.status_code == 201, "a key that asks again takes no second use"
        shown = (await hub.http.get(f"/api/v1/devices/{answer.json()['device_id']}", headers=hub.as_user())).json()
        assert (shown["site"], shown["tags"]) == ("Bern", ["ring:beta"])
    told = problem(await hub.try_enrol(new_device(), token["token"], "batch 9"), 403)
    assert "3 times" in told.detail
    listed = await _listed(hub, token["id"])
    assert (listed["uses"], listed["left"], listed["created_by"]) == (3, 0, "admin")
    assert listed["note"] == "first delivery"


async def test_many_that_come_at_once_are_as_many_as_may(hub: CoreHub) -> None:
    token = await _create(hub, uses=4)
    answers = await asyncio.gather(
        *(hub.try_enrol(new_device(), token["token"], f"crowd {number}") for number in range(12))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 4 + [403] * 8


async def test_a_revoked_token_enrols_nobody_and_devices_that_have_used_it_stay(hub: CoreHub) -> None:
    token = await _create(hub, uses=2)
    device = new_device()
    enrolled = await hub.try_enrol(device, token["token"], "before")
    revoked = await hub.http.delete(f"/api/v1/enrolment-tokens/{token['id']}", headers=hub.as_user())
    assert revoked.json()["revoked_at"] is not None
    assert "revoked" in problem(await hub.try_enrol(new_device(), token["token"], "after"), 403).detail
    stays = await hub.http.get(f"/api/v1/devices/{enrolled.json()['device_id']}", headers=hub.as_user())
    assert stays.json()["status"] != "revoked"
    again = await hub.http.delete(f"/api/v1/enrolment-tokens/{token['id']}", headers=hub.as_user())
    assert again.json()["revoked_at"] == revoked.json()["revoked_at"]
    problem(await hub.http.delete("/api/v1/enrolment-tokens/tok-none", headers=hub.as_user()), 404)


async def test_a_use_that_came_to_nothing_is_given_back(hub: CoreHub) -> None:
    token = await _create(hub)
    await hub.enrol("taken")
    problem(await hub.try_enrol(new_device(), token["token"], "taken"), 409)
    assert (await _listed(hub, token["id"]))["left"] == 1
    assert (await hub.try_enrol(new_device(), token["token"], "free")).status_code == 201


async def test_the_registry_and_the_api_know_only_the_hash_of_a_token(hub: CoreHub) -> None:
    token = await _create(hub)
    kept = [document async for document in hub.mongo.database["enrolment_tokens"].find()]
    assert token["token"] not in str(kept)
    assert token["token"] not in str(await _listed(hub, token["id"]))
    assert token["ca_sha256"] == "", "this API has no certificate of the hub's"


async def test_the_authority_is_shown_to_anybody(hub: CoreHub) -> None:
    answer = await hub.http.get("/api/v1/ca")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text == (hub.settings.hub.state / "ca.pem").read_text()


async def test_what_no_token_can_be_is_refused(hub: CoreHub) -> None:
    async def create(**wanted: object) -> httpx.Response:
        return await hub.post("/api/v1/enrolment-tokens", wanted, hub.as_user())

    for wrong in ({"uses": 0}, {"uses": 1001}, {"tags": ["a b"]}, {"tags": "x"}, {"unknown": 1}):
        problem(await create(**wrong), 400)
    assert "30 days" in problem(await create(lifetime=31 * 86400.0), 422).detail
    viewer = await hub.post("/api/v1/enrolment-tokens", {}, hub.as_user(Role.VIEWER))
    problem(viewer, 403)
