"""Login through a real OpenID Connect provider: role by a claim, one subject one account, nothing for who comes by."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from oidc_provider import log_in_there, running_provider

from core_hub import CoreHub, problem, running_core
from flip_demo.ports import free_port
from flip_hub.auth.cookies import NAME
from flip_hub.auth.oidc_routes import CALLBACK
from flip_hub.auth.permissions import Role
from flip_hub.settings import OidcSection

AUTH = "/api/v1/auth"
CONSOLE = {"Flip-Console": "1"}
ROLES = {"flip-admins": Role.ADMIN, "flip-viewers": Role.VIEWER}


@asynccontextmanager
async def _hub_and_provider(folder: Path, mongo_url: str) -> AsyncGenerator[tuple[CoreHub, httpx.AsyncClient]]:
    port = free_port()
    (folder / "secret").write_text("a secret of the two\n")
    async with running_provider(folder, f"http://127.0.0.1:{port}{CALLBACK}") as issuer:
        oidc = OidcSection(
            issuer=issuer, client_id="flip", client_secret_file=folder / "secret", roles=ROLES, name="Works"
        )
        async with running_core(folder, mongo_url, oidc=oidc, port=port) as hub, _browser(hub) as browser:
            yield hub, browser


def _browser(hub: CoreHub) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=hub.url, timeout=60.0, trust_env=False)


async def _log_in(browser: httpx.AsyncClient, name: str, following: str = "/") -> httpx.Response:
    begun = await browser.get(f"{AUTH}/oidc/login", params={"next": following})
    assert begun.status_code == 302, begun.text
    return await log_in_there(browser, begun.headers["Location"], name)


@pytest.mark.asyncio
async def test_whom_the_provider_vouches_for_gets_in_with_the_role_of_the_claim(folder: Path, mongo_url: str) -> None:
    async with _hub_and_provider(folder, mongo_url) as (hub, browser):
        assert (await browser.get(f"{AUTH}/ways")).json()["oidc"] == "Works"
        back = await _log_in(browser, "ada", "/runs")
        assert (back.status_code, back.headers["Location"]) == (302, "/runs")
        session = await browser.post(f"{AUTH}/refresh", json={}, headers=CONSOLE)
        assert (session.json()["username"], session.json()["role"]) == ("ada", "admin")

        listed = await hub.http.get("/api/v1/users", headers=hub.as_user())
        (ada,) = [each for each in listed.json() if each["username"] == "ada"]
        assert ada["provider"].startswith("http://127.0.0.1:")
        refused = await hub.post("/api/v1/users/ada/password", {"password": "long enough it is"}, hub.as_user())
        problem(refused, 409)
        problem(await hub.post(f"{AUTH}/login", {"username": "ada", "password": ""}), 401)

        await hub.http.patch("/api/v1/users/ada", json={"role": "viewer"}, headers=hub.as_user())
        problem(await browser.post(f"{AUTH}/refresh", json={}, headers=CONSOLE), 401)
        await _log_in(browser, "ada", "//elsewhere.example")
        again = await browser.post(f"{AUTH}/refresh", json={}, headers=CONSOLE)
        assert again.json()["role"] == "admin"  # as the claim says

        await hub.http.patch("/api/v1/users/ada", json={"disabled": True}, headers=hub.as_user())
        async with _browser(hub) as other:
            assert "disabled" in problem(await _log_in(other, "ada"), 403).detail


@pytest.mark.asyncio
async def test_who_has_no_role_a_taken_name_or_another_browser_stays_out(folder: Path, mongo_url: str) -> None:
    async with _hub_and_provider(folder, mongo_url) as (hub, browser):
        assert "no role" in problem(await _log_in(browser, "eve"), 403).detail
        account = {"username": "bob", "role": "admin", "password": "a local account"}
        assert (await hub.post("/api/v1/users", account, hub.as_user())).status_code == 201
        async with _browser(hub) as other:
            assert "somebody else's" in problem(await _log_in(other, "bob"), 403).detail
            assert NAME not in other.cookies

        begun = await browser.get(f"{AUTH}/oidc/login")
        asked = parse_qs(urlsplit(begun.headers["Location"]).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert {"state", "nonce", "code_challenge"} <= set(asked)
        state = asked["state"][0]
        async with _browser(hub) as stranger:
            stolen = await stranger.get(CALLBACK, params={"code": "stolen", "state": state})
            assert "not begun in this browser" in problem(stolen, 403).detail
        forged = await browser.get(CALLBACK, params={"code": "forged", "state": state})
        assert "refused" in problem(forged, 403).detail
        replayed = await browser.get(CALLBACK, params={"code": "forged", "state": state})
        assert "finished before" in problem(replayed, 403).detail
        cancelled = await browser.get(CALLBACK, params={"error": "access_denied", "state": state})
        assert "access_denied" in problem(cancelled, 403).detail


@pytest.mark.asyncio
async def test_without_the_provider_local_accounts_still_log_in(folder: Path, mongo_url: str) -> None:
    oidc = OidcSection(issuer=f"http://127.0.0.1:{free_port()}", client_id="flip")
    async with running_core(folder, mongo_url, oidc=oidc) as hub:
        away = await hub.http.get(f"{AUTH}/oidc/login")
        problem(away, 503)
        assert int(away.headers["Retry-After"]) >= 1
        account = {"username": "bob", "role": "viewer", "password": "a local account"}
        await hub.post("/api/v1/users", account, hub.as_user())
        login = await hub.post(f"{AUTH}/login", {"username": "bob", "password": "a local account"})
        assert login.status_code == 200
