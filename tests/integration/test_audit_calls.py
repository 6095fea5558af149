"""What people change and what anybody is refused is in the audit: who, what, to what, from where; and no secret."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jwt
import msgspec
import pytest
import pytest_asyncio

from core_hub import CoreHub, new_device, problem, running_core
from flip_hub.audit.entry import Entry
from flip_hub.audit.store import AuditStore
from flip_hub.auth.permissions import Role
from flip_hub.cli import main

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mongo_url: str) -> AsyncGenerator[CoreHub]:
    with TemporaryDirectory(prefix="flip-") as folder:
        async with running_core(Path(folder), mongo_url) as hub:
            yield hub


async def audit(hub: CoreHub, **sought: Any) -> list[Entry]:
    answer = await hub.http.get("/api/v1/audit", params=sought, headers=hub.as_user())
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=list[Entry])


async def refused(hub: CoreHub, **sought: Any) -> Entry:
    """The newest; refusals are written a moment after they were answered."""
    async with asyncio.timeout(30):
        while not (found := await audit(hub, refused=True, **sought)):
            await asyncio.sleep(0.05)
    return found[0]


async def test_a_change_is_in_the_audit_when_its_answer_is_there(hub: CoreHub) -> None:
    device = await hub.enrol("audited")
    path = f"/api/v1/devices/{device.id}/revoke"
    answer = await hub.http.post(path, headers=hub.as_user() | {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"})
    assert answer.is_success
    (entry,) = await audit(hub, subject=device.id)
    assert entry.action.startswith("POST /api/v1/devices/{device")
    assert entry.action.endswith("}/revoke")
    assert entry.actor == "admin"
    assert (entry.address, entry.trace_id, entry.refused) == ("127.0.0.1", "ab" * 16, False)
    assert abs(entry.at - time.time()) < 60


async def test_reading_changes_nothing_and_is_not_noted(hub: CoreHub) -> None:
    before = await audit(hub)
    await hub.http.get("/api/v1/devices", headers=hub.as_user())
    assert await audit(hub) == before


async def test_a_forged_token_is_noted_without_believing_whose_it_says_it_is(hub: CoreHub) -> None:
    forged = jwt.encode({"sub": "admin", "aud": "user", "exp": time.time() + 60}, "x" * 32, "HS256")
    answer = await hub.http.get("/api/v1/app-keys", headers={"Authorization": f"Bearer {forged}"})
    problem(answer, 401)
    entry = await refused(hub, action="GET /api/v1/app-keys")
    assert (entry.actor, entry.address) == ("", "127.0.0.1")
    assert entry.detail.startswith("401 ")


async def test_who_may_not_is_noted_by_name_and_may_not_read_the_audit(hub: CoreHub) -> None:
    answer = await hub.http.get("/api/v1/audit", headers=hub.as_user(Role.OPERATOR))
    assert "audit:read" in problem(answer, 403).detail
    entry = await refused(hub, action="GET /api/v1/audit", actor="operator")
    assert "audit:read" in entry.detail


async def test_a_device_that_is_refused_is_noted_by_its_id(hub: CoreHub) -> None:
    device = await hub.enrol("refused")
    answer = await hub.post("/api/v1/device/telemetry", {"epoch": {"$ne": ""}}, device.headers)
    problem(answer, 422)
    entry = await refused(hub, actor=device.id)
    assert entry.action == "POST /api/v1/device/telemetry"


async def test_the_list_comes_in_pages_and_by_filters(hub: CoreHub) -> None:
    for number in range(5):
        await hub.post("/api/v1/enrolment-tokens", {"lifetime": 60.0 + number}, hub.as_user(Role.OPERATOR))
    sought = {"actor": "operator", "refused": False, "limit": 2}
    answer = await hub.http.get("/api/v1/audit", params=sought, headers=hub.as_user())
    found = msgspec.json.decode(answer.content, type=list[Entry])
    while "next" in answer.links:
        answer = await hub.http.get(answer.links["next"]["url"], headers=hub.as_user())
        found += msgspec.json.decode(answer.content, type=list[Entry])
    assert len(found) == 5
    assert [entry.seq for entry in found] == sorted((entry.seq for entry in found), reverse=True)
    assert await audit(hub, actor="operator", refused=False, until=found[-1].at) == []
    assert len(await audit(hub, actor="operator", refused=False, since=found[1].at)) == 2


async def test_no_secret_is_ever_in_an_entry(hub: CoreHub) -> None:
    passwords = [f"password-{secrets.token_hex(8)}" for _ in range(3)]
    token, device = await hub.enrolment_token(), new_device()
    await hub.post("/api/v1/users", {"username": "eve", "password": passwords[0], "role": "viewer"}, hub.as_user())
    for name, password in (("eve", passwords[0]), ("eve", passwords[1]), (passwords[2], "x" * 12)):
        await hub.post("/api/v1/auth/login", {"username": name, "password": password})
    await hub.post("/api/v1/auth/refresh", {"refresh_token": token})
    await hub.try_enrol(device, token, "secretive")
    await hub.try_enrol(new_device(), token, "secretive")
    await hub.post("/api/v1/device/token", device.assertion())
    await hub.http.get(f"/api/v1/devices?cursor={token}", headers={"Authorization": f"Bearer {token}"})
    await refused(hub, action="GET /api/v1/devices")
    said = "\n".join([str(document) async for document in AuditStore(hub.mongo.database).documents()])
    assert "POST /api/v1/enrol'" in said
    assert "POST /api/v1/auth/login'" in said
    for secret in (*passwords, token, *(bearer for bearer in hub.bearers.values())):
        assert secret not in said


async def test_the_command_line_lists_the_audit_and_names_the_entry_that_was_changed(
    hub: CoreHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("FLIP_HUB__STATE", str(hub.settings.hub.state))
    monkeypatch.setenv("FLIP_MONGO__URL", hub.settings.mongo.url)
    monkeypatch.setenv("FLIP_MONGO__DATABASE", hub.settings.mongo.database)
    await hub.enrolment_token()
    await asyncio.to_thread(main, ["audit", "list", "--action", "POST /api/v1/enrolment-tokens", "--limit", "1"])
    heads, line = capsys.readouterr().out.splitlines()
    assert heads.split()[:3] == ["NUMBER", "WHEN", "WHO"]
    assert "admin" in line
    await asyncio.to_thread(main, ["audit", "verify"])
    assert "the audit is whole: " in capsys.readouterr().out
    entries = hub.mongo.database["audit"]
    before = await entries.find_one_and_update({"_id": 1}, {"$set": {"actor": "nobody"}})
    with pytest.raises(SystemExit) as ended:
        await asyncio.to_thread(main, ["audit", "verify"])
    assert ended.value.code == 1
    assert "entry 1 was changed" in capsys.readouterr().err
    await entries.replace_one({"_id": 1}, before or {})


async def test_an_entry_says_what_was_changed_from_what_to_what(hub: CoreHub) -> None:
    device = await hub.enrol("labelled")
    patch = {"site": "north", "tags": ["gpu"], "note": ""}
    answer = await hub.http.patch(f"/api/v1/devices/{device.id}", json=patch, headers=hub.as_user())
    assert answer.status_code == 200, answer.text
    [entry] = await audit(hub, subject=device.id, action="PATCH /api/v1/devices/{device}")
    assert msgspec.json.decode(entry.changes) == [["site", "", "north"], ["tags", [], ["gpu"]]]
    verdict = await hub.http.get("/api/v1/audit/verification", headers=hub.as_user())
    assert verdict.json()["broken"] is None, "with entries that tell no changes, and one that does"
    told = entry.changes.replace("north", "south")
    await hub.mongo.database["audit"].update_one({"_id": entry.seq}, {"$set": {"changes": told}})
    verdict = await hub.http.get("/api/v1/audit/verification", headers=hub.as_user())
    assert verdict.json()["broken"]["seq"] == entry.seq
    await hub.mongo.database["audit"].update_one({"_id": entry.seq}, {"$set": {"changes": entry.changes}})


async def test_what_an_account_was_is_told_beside_what_it_is(hub: CoreHub) -> None:
    made = {"username": "grace", "role": "viewer", "password": "a long enough one"}
    assert (await hub.post("/api/v1/users", made, hub.as_user())).status_code == 201
    await hub.http.patch("/api/v1/users/grace", json={"role": "operator"}, headers=hub.as_user())
    [entry] = await audit(hub, subject="grace", action="PATCH /api/v1/users/{username}")
    assert msgspec.json.decode(entry.changes) == [["role", "viewer", "operator"]]
