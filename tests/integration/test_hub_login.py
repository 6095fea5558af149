"""People log in; who guesses is slowed down; no token is good for what it was not made for."""

import asyncio
from pathlib import Path

import httpx
import pytest

from core_hub import CoreHub, problem, running_core
from flip_hub.auth.schemas import Login
from flip_hub.auth.throttle import FAILURES
from flip_hub.founding import found_hub


async def _login(hub: CoreHub, username: str, password: str) -> httpx.Response:
    return await hub.post("/api/v1/auth/login", Login(username=username, password=password))


@pytest.mark.asyncio
async def test_the_first_admin_logs_in_and_is_known_by_the_token(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        await asyncio.to_thread(found_hub, hub.settings, "ada", folder / "password")
        answer = await _login(hub, "ada", (folder / "password").read_text().strip())
        assert answer.status_code == 200
        assert answer.json()["username"] == "ada"
        token = answer.json()["token"]
        me = await hub.http.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert (me.json()["username"], me.json()["role"]) == ("ada", "admin")
        assert "users:manage" in me.json()["permissions"]


@pytest.mark.asyncio
async def test_founding_twice_keeps_keys_and_admin(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        await asyncio.to_thread(found_hub, hub.settings, "ada", folder / "password")
        before = {file.name: file.read_bytes() for file in (folder / "hub").iterdir()}
        password = (folder / "password").read_text()
        lines = await asyncio.to_thread(found_hub, hub.settings, "eve", folder / "password")
        assert lines == [f"kept the keys in {folder / 'hub'}", "kept the admin ada"]
        assert {file.name: file.read_bytes() for file in (folder / "hub").iterdir()} == before
        assert (folder / "password").read_text() == password


@pytest.mark.asyncio
async def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        await asyncio.to_thread(found_hub, hub.settings, "ada", folder / "password")
        unknown, wrong = await asyncio.gather(_login(hub, "eve", "secret"), _login(hub, "ada", "secret"))
        first, second = problem(unknown, 401), problem(wrong, 401)
        assert (first.detail, first.hint) == (second.detail, second.hint)


@pytest.mark.asyncio
async def test_guessing_is_answered_429_with_the_time_to_wait(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        guesses = await asyncio.gather(*(_login(hub, "ada", f"guess {n}") for n in range(FAILURES + 1)))
        assert sorted({guess.status_code for guess in guesses}) == [401, 429]
        (refused,) = [guess for guess in guesses if guess.status_code == 429]
        assert problem(refused, 429).hint.startswith("wait ")
        assert 0 < int(refused.headers["Retry-After"]) <= 60


@pytest.mark.asyncio
async def test_a_route_refuses_every_token_but_its_own(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        nobody, wrong_kind = {}, device.headers
        garbage = {"Authorization": "Bearer not.a.token"}
        for headers in (nobody, wrong_kind, garbage):
            told = problem(await hub.http.get("/api/v1/devices", headers=headers), 401)
            assert told.hint
        problem(await hub.http.get("/api/v1/device/desired", headers=hub.as_user()), 401)
