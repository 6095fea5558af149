"""A login goes on by its refresh token, which is good once; whatever ends it is felt by the very next call."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from core_hub import CoreHub, problem, running_core
from flip_hub.auth import sessions
from flip_hub.auth.cookies import NAME
from flip_hub.auth.service import Client

PASSWORD = "correct horse battery"
AUTH = "/api/v1/auth"


@dataclass
class Person:
    hub: CoreHub
    username: str

    async def login(self, password: str = PASSWORD, **more: Any) -> httpx.Response:
        return await self.hub.post(f"{AUTH}/login", {"username": self.username, "password": password, **more})

    async def session(self) -> dict[str, Any]:
        answer = await self.login()
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def me(self, session: dict[str, Any]) -> int:
        return (await self.hub.http.get(f"{AUTH}/me", headers=bearer(session))).status_code

    async def refresh(self, token: str) -> httpx.Response:
        return await self.hub.post(f"{AUTH}/refresh", {"refresh_token": token})

    async def change(self, **changes: Any) -> httpx.Response:
        path = f"/api/v1/users/{self.username}"
        return await self.hub.http.patch(path, json=changes, headers=self.hub.as_user())


def bearer(session: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['token']}"}


@pytest_asyncio.fixture
async def ada(folder: Path, mongo_url: str) -> AsyncGenerator[Person]:
    async with running_core(folder, mongo_url) as hub:
        account = {"username": "ada", "role": "operator", "password": PASSWORD}
        made = await hub.post("/api/v1/users", account, hub.as_user())
        assert made.status_code == 201, made.text
        yield Person(hub, "ada")


@pytest.mark.asyncio
async def test_a_refresh_token_is_exchanged_for_the_next_and_ends_the_session_when_shown_again(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, first = await ada.session(), await ada.session()
    second = (await ada.refresh(first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert await ada.me(second) == 200

    monkeypatch.setattr(sessions, "LEEWAY", 0.001)
    third = (await ada.refresh(second["refresh_token"])).json()
    await asyncio.sleep(0.01)
    told = problem(await ada.refresh(second["refresh_token"]), 401)
    assert "used before" in told.detail
    problem(await ada.refresh(third["refresh_token"]), 401)
    assert [await ada.me(each) for each in (first, second, third, other)] == [401, 401, 401, 200]
    audit = await ada.hub.http.get("/api/v1/audit", headers=ada.hub.as_user())
    assert [(each["actor"], each["refused"]) for each in audit.json() if each["action"] == "session stolen"] == [
        ("ada", True)
    ]


@pytest.mark.asyncio
async def test_two_refreshes_at_once_are_no_theft(ada: Person) -> None:
    first = await ada.session()
    both = await asyncio.gather(*(ada.refresh(first["refresh_token"]) for _ in range(2)))
    assert [answer.status_code for answer in both] == [200, 200]
    for answer in both:
        assert await ada.me(answer.json()) == 200
    assert (await ada.refresh(both[1].json()["refresh_token"])).status_code == 200


@pytest.mark.asyncio
async def test_a_changed_password_role_or_account_ends_every_session_at_once(ada: Person) -> None:
    session = await ada.session()
    answer = await ada.hub.post(f"{AUTH}/password", {"old": PASSWORD, "new": "another one of mine"}, bearer(session))
    changed = answer.json()
    assert [await ada.me(session), await ada.me(changed)] == [401, 200]
    problem(await ada.login(), 401)
    problem(await ada.refresh(session["refresh_token"]), 401)

    demoted = await ada.change(role="viewer")
    assert demoted.json()["role"] == "viewer"
    assert await ada.me(changed) == 401
    viewer = (await ada.login("another one of mine")).json()
    problem(await ada.hub.post("/api/v1/enrolment-tokens", {"lifetime": 60}, bearer(viewer)), 403)

    await ada.change(disabled=True)
    assert await ada.me(viewer) == 401
    problem(await ada.login("another one of mine"), 401)
    problem(await ada.refresh(viewer["refresh_token"]), 401)
    await ada.change(disabled=False)
    assert (await ada.login("another one of mine")).status_code == 200
    assert await ada.me(viewer) == 401


@pytest.mark.asyncio
async def test_sessions_are_listed_and_ended_singly_or_all(ada: Person) -> None:
    first, second = await ada.session(), await ada.session()
    path = f"{AUTH}/sessions"
    listed = (await ada.hub.http.get(path, headers=bearer(second))).json()
    assert [each["current"] for each in listed] == [True, False]
    assert listed[0]["address"] == "127.0.0.1"
    older = listed[1]["id"]
    problem(await ada.hub.http.delete(f"{path}/{older}", headers=ada.hub.as_user()), 404)
    assert (await ada.hub.http.delete(f"{path}/{older}", headers=bearer(second))).status_code == 200
    assert [await ada.me(first), await ada.me(second)] == [401, 200]

    third = await ada.session()
    assert (await ada.hub.post(f"{AUTH}/logout", {"refresh_token": third["refresh_token"]})).status_code == 200
    assert [await ada.me(second), await ada.me(third)] == [200, 401]
    assert (await ada.hub.post(f"{AUTH}/logout-everywhere", {}, bearer(second))).status_code == 200
    assert await ada.me(second) == 401


@pytest.mark.asyncio
async def test_nobody_has_more_sessions_than_are_listed(ada: Person) -> None:
    people = ada.hub.core.people
    user = await people.users.get("ada")
    assert user is not None
    first = await ada.session()
    for _ in range(sessions.MOST):
        await people.auth.begin(user, Client("127.0.0.1", "test"))
    assert await ada.me(first) == 401
    assert len(await people.auth.sessions("ada", "")) == sessions.MOST


@pytest.mark.asyncio
async def test_the_cookie_is_for_the_console_alone(ada: Person) -> None:
    answer = await ada.login(cookie=True)
    assert answer.json()["refresh_token"] == ""
    cookie = answer.headers["Set-Cookie"]
    for flag in (f"{NAME}=", "HttpOnly", "SameSite=strict", f"Path={AUTH}"):
        assert flag.lower() in cookie.lower()

    elsewhere = {"Sec-Fetch-Site": "cross-site", "Flip-Console": "1"}
    for headers in ({}, elsewhere):
        problem(await ada.hub.post(f"{AUTH}/refresh", {}, headers), 403)
        problem(await ada.hub.post(f"{AUTH}/logout", {}, headers), 403)
    console = {"Sec-Fetch-Site": "same-origin", "Flip-Console": "1"}
    renewed = await ada.hub.post(f"{AUTH}/refresh", {}, console)
    assert await ada.me(renewed.json()) == 200
    assert renewed.json()["refresh_token"] == ""
    out = await ada.hub.post(f"{AUTH}/logout", {}, console)
    assert NAME not in ada.hub.http.cookies, out.headers["Set-Cookie"]
    assert await ada.me(renewed.json()) == 401
    problem(await ada.hub.post(f"{AUTH}/refresh", {}, console), 401)
