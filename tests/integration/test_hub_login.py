"""People log in; who guesses is slowed down; no token is good for what it was not made for."""

import asyncio
from pathlib import Path

import httpx
import pytest

from core_hub import CoreHub, problem, running_core
from flip_hub.auth.lockout import ADDRESS_FAILURES, NAME_FAILURES
from flip_hub.auth.passwords import AT_ONCE
from flip_hub.auth.schemas import Login, Setup
from flip_hub.auth.setup_code import SETUP_CODE
from flip_hub.founding import found_hub


async def _login(hub: CoreHub, username: str, password: str) -> httpx.Response:
    return await hub.post("/api/v1/auth/login", Login(username=username, password=password))


@pytest.mark.asyncio
async def test_the_first_admin_logs_in_and_is_known_by_the_token(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url, people=False) as hub:
        await asyncio.to_thread(found_hub, hub.settings, "ada", folder / "password")
        answer = await _login(hub, "ada", (folder / "password").read_text().strip())
        assert answer.status_code == 200
        assert answer.json()["username"] == "ada"
        token = answer.json()["token"]
        me = await hub.http.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert (me.json()["username"], me.json()["role"]) == ("ada", "admin")
        assert "users:manage" in me.json()["permissions"]

        lines = await asyncio.to_thread(found_hub, hub.settings, "eve", folder / "password")
        assert lines == [f"kept the keys in {folder / 'hub'}", "kept the admin ada"]
        assert (await _login(hub, "ada", (folder / "password").read_text().strip())).status_code == 200


@pytest.mark.asyncio
async def test_the_first_admin_is_made_once_with_the_code_that_lies_on_the_hub(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url, people=False) as hub:
        code = folder / "hub" / SETUP_CODE
        assert (await hub.http.get("/api/v1/auth/ways")).json() == {"setup": True, "session": False, "oidc": ""}
        lines = await asyncio.to_thread(found_hub, hub.settings, None, None)
        assert str(code) in lines[-1]
        made = code.read_text()
        await hub.core.people.first_admin.offer()
        assert code.read_text() == made
        assert code.stat().st_mode & 0o777 == 0o600
        setup = Setup(code=code.read_text(), username="ada", password="correct horse")
        wrong = Setup(code="0" * 32, username="eve", password="correct horse")
        weak = {"code": setup.code, "username": "ada", "password": "short"}
        problem(await hub.post("/api/v1/auth/setup", wrong), 403)
        problem(await hub.post("/api/v1/auth/setup", weak), 400)

        both = await asyncio.gather(*(hub.post("/api/v1/auth/setup", setup) for _ in range(2)))
        assert sorted(answer.status_code for answer in both) == [200, 409]
        assert not code.exists()
        assert (await hub.http.get("/api/v1/auth/ways")).json() == {"setup": False, "session": False, "oidc": ""}
        problem(await hub.post("/api/v1/auth/setup", setup), 409)
        assert (await _login(hub, "ada", "correct horse")).status_code == 200


@pytest.mark.asyncio
async def test_guessing_is_answered_429_for_the_address_and_for_the_name(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        most = ADDRESS_FAILURES.most + AT_ONCE + 1
        unknown, *guesses = await asyncio.gather(*(_login(hub, "eve" if n == 0 else "admin", "x") for n in range(most)))
        told = [problem(guess, guess.status_code) for guess in (unknown, *guesses)]
        assert {each.status for each in told} == {401, 429}
        assert len({(each.detail, each.hint) for each in told if each.status == 401}) == 1
        refused = next(guess for guess in guesses if guess.status_code == 429)
        assert problem(refused, 429).hint.startswith("wait ")
        assert 0 < int(refused.headers["Retry-After"]) <= ADDRESS_FAILURES.seconds


@pytest.mark.asyncio
async def test_a_name_is_locked_for_every_address_and_open_again_after_a_good_login(
    folder: Path, mongo_url: str
) -> None:
    async with running_core(folder, mongo_url) as hub:
        lockout = hub.core.people.lockout
        for n in range(NAME_FAILURES.most - 1):
            await lockout.failed("ada", f"10.0.0.{n}")
        await lockout.check("ada", "10.1.0.1")
        await lockout.succeeded("ada")
        for n in range(NAME_FAILURES.most):
            await lockout.failed("ada", f"10.0.1.{n}")
        locked = await _login(hub, "ada", "whatever")
        assert 60 < int(problem_after(locked)) <= NAME_FAILURES.seconds
        assert (await _login(hub, "eve", "whatever")).status_code == 401


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


def problem_after(answer: httpx.Response) -> str:
    """How long to wait, in seconds."""
    problem(answer, 429)
    return answer.headers["Retry-After"]
