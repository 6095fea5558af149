"""A program's token allows what is in its scope and its owner may, until it is revoked; the hub keeps only a hash."""

import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from core_hub import CoreHub, problem, running_core
from flip_hub.auth.permissions import Role

TOKENS = "/api/v1/tokens"


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[CoreHub]:
    async with running_core(folder, mongo_url) as hub:
        yield hub


async def _make(hub: CoreHub, *scope: str, role: Role = Role.OPERATOR, **more: Any) -> httpx.Response:
    return await hub.post(TOKENS, {"name": "nightly", "scope": scope, **more}, hub.as_user(role))


def _with(made: httpx.Response) -> dict[str, str]:
    assert made.status_code == 201, made.text
    return {"Authorization": f"Bearer {made.json()['token']}"}


@pytest.mark.asyncio
async def test_a_token_does_what_is_in_its_scope_and_nothing_about_the_account(hub: CoreHub) -> None:
    made = await _make(hub, "devices:read")
    program = _with(made)
    assert (await hub.http.get("/api/v1/devices", headers=program)).status_code == 200
    problem(await hub.post("/api/v1/enrolment-tokens", {"lifetime": 60}, program), 403)
    problem(await hub.http.get(TOKENS, headers=program), 403)
    problem(await hub.post("/api/v1/auth/logout-everywhere", {}, program), 403)
    assert (await hub.http.get("/api/v1/auth/me", headers=program)).json() == {
        "username": "operator",
        "role": "operator",
        "permissions": ["devices:read"],
    }


@pytest.mark.asyncio
async def test_a_token_is_shown_once_and_kept_as_a_hash_with_its_last_use(hub: CoreHub) -> None:
    made = await _make(hub, "devices:read")
    secret = made.json()["token"]
    assert secret.startswith("flip_")
    listed = (await hub.http.get(TOKENS, headers=hub.as_user(Role.OPERATOR))).json()
    assert [each["last_used"] for each in listed] == [None]
    await hub.http.get("/api/v1/devices", headers=_with(made))
    again = await hub.http.get(TOKENS, headers=hub.as_user(Role.OPERATOR))
    assert abs(again.json()[0]["last_used"] - time.time()) < 60
    kept = [document async for document in hub.mongo.database["api_tokens"].find()]
    assert secret.rpartition("_")[2] not in again.text + repr(kept)
    assert (await hub.http.get(TOKENS, headers=hub.as_user(Role.VIEWER))).json() == []
    assert len((await hub.http.get(TOKENS, headers=hub.as_user(Role.ADMIN))).json()) == 1


@pytest.mark.asyncio
async def test_nobody_grants_more_than_the_owner_may(hub: CoreHub) -> None:
    problem(await _make(hub, "users:manage"), 422)
    problem(await _make(hub, "account:manage", role=Role.ADMIN), 422)
    problem(await _make(hub, "everything"), 400)
    problem(await _make(hub), 400)
    problem(await _make(hub, "devices:read", username="admin"), 403)
    problem(await _make(hub, "devices:read", username="nobody", role=Role.ADMIN), 422)
    problem(await _make(hub, "devices:read", lifetime=1), 400)
    for_viewer = await _make(hub, "devices:read", username="viewer", role=Role.ADMIN)
    assert for_viewer.json()["about"]["username"] == "viewer"


@pytest.mark.asyncio
async def test_a_token_ends_with_revocation_expiry_and_its_owners_rights(hub: CoreHub) -> None:
    admin = hub.as_user()
    revoked, expired, demoted = [_with(await _make(hub, "devices:enrol", "devices:read")) for _ in range(3)]
    for each in (revoked, expired, demoted):
        assert (await hub.http.get("/api/v1/devices", headers=each)).status_code == 200
    token_id = revoked["Authorization"].split("_")[1]
    problem(await hub.http.delete(f"{TOKENS}/{token_id}", headers=hub.as_user(Role.VIEWER)), 404)
    assert (await hub.http.delete(f"{TOKENS}/{token_id}", headers=admin)).status_code == 200
    problem(await hub.http.get("/api/v1/devices", headers=revoked), 401)

    change = {"$set": {"expires_at": time.time() - 1}}
    await hub.mongo.database["api_tokens"].update_one({"_id": expired["Authorization"].split("_")[1]}, change)
    await hub.http.patch("/api/v1/users/operator", json={"role": "viewer"}, headers=admin)
    assert "expired" in problem(await hub.http.get("/api/v1/devices", headers=expired), 401).detail
    assert (await hub.http.get("/api/v1/devices", headers=demoted)).status_code == 200
    problem(await hub.post("/api/v1/enrolment-tokens", {"lifetime": 60}, demoted), 403)
    await hub.http.patch("/api/v1/users/operator", json={"disabled": True}, headers=admin)
    problem(await hub.http.get("/api/v1/devices", headers=demoted), 401)
    await hub.http.delete("/api/v1/users/operator", headers=admin)
    assert await hub.mongo.database["api_tokens"].count_documents({"username": "operator"}) == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("token", ["flip_", "flip_a_b", "flip_" + "x" * 5000, "flip_$ne_x", "flip__"])
async def test_a_forged_token_is_refused(token: str, hub: CoreHub) -> None:
    problem(await hub.http.get("/api/v1/devices", headers={"Authorization": f"Bearer {token}"}), 401)
    made = await _make(hub, "devices:read")
    other = f"{made.json()['token'][:-1]}{'A' if made.json()['token'][-1] != 'A' else 'B'}"
    problem(await hub.http.get("/api/v1/devices", headers={"Authorization": f"Bearer {other}"}), 401)
    assert msgspec.json.decode((await hub.http.get("/api/v1/devices", headers=_with(made))).content) == []
