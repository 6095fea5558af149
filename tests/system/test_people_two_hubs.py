"""Two hubs and one Redis know the same sessions and limits; what ends a session at one ends it at the other at once."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from redis_server import RedisServer
from two_hubs import OneOfTwo, two_hubs

from core_hub import problem
from flip_hub.auth.callers import REMEMBERED
from flip_hub.auth.lockout import ADDRESS_FAILURES
from flip_hub.auth.permissions import Role
from flip_hub.settings import RedisSection
from sessions import log_in_each_role

AUTH = "/api/v1/auth"
PASSWORD = "correct horse battery"
WITHIN = 30.0
"""Seconds; two are promised, and a busy machine may be late."""


class Pair:
    def __init__(self, hubs: list[OneOfTwo], redis: RedisServer, admin: dict[str, str]) -> None:
        self.one, self.other = hubs[0].http, hubs[1].http
        self.redis = redis
        self.admin = admin

    async def login(self, at: httpx.AsyncClient, password: str = PASSWORD) -> httpx.Response:
        return await at.post(f"{AUTH}/login", json={"username": "ada", "password": password})

    async def me(self, at: httpx.AsyncClient, session: dict[str, Any]) -> httpx.Response:
        return await at.get(f"{AUTH}/me", headers={"Authorization": f"Bearer {session['token']}"})


@pytest_asyncio.fixture
async def pair(folder: Path, mongo_url: str) -> AsyncGenerator[Pair]:
    redis = RedisServer(folder)
    await asyncio.to_thread(redis.start)
    try:
        async with two_hubs(folder, mongo_url, RedisSection(url=redis.url)) as hubs:
            bearers = await log_in_each_role(hubs[0].core.people)
            admin = {"Authorization": f"Bearer {bearers[Role.ADMIN]}"}
            account = {"username": "ada", "role": "operator", "password": PASSWORD}
            assert (await hubs[0].http.post("/api/v1/users", json=account, headers=admin)).status_code == 201
            yield Pair(hubs, redis, admin)
    finally:
        redis.stop()


@pytest.mark.asyncio
async def test_a_session_goes_on_at_the_other_hub_and_ends_at_both(
    pair: Pair, record_property: Callable[[str, object], None]
) -> None:
    session = (await pair.login(pair.one)).json()
    assert (await pair.me(pair.other, session)).status_code == 200
    renewed = (await pair.other.post(f"{AUTH}/refresh", json={"refresh_token": session["refresh_token"]})).json()
    assert (await pair.me(pair.one, renewed)).status_code == 200

    ended = time.monotonic()
    await pair.one.delete("/api/v1/users/ada/sessions", headers=pair.admin)
    problem(await pair.me(pair.one, renewed), 401)
    async with asyncio.timeout(WITHIN):
        while (await pair.me(pair.other, renewed)).status_code != 401:
            await asyncio.sleep(0.02)
    record_property("refused_at_the_other_after", round(time.monotonic() - ended, 3))
    problem(await pair.other.post(f"{AUTH}/refresh", json={"refresh_token": renewed["refresh_token"]}), 401)


@pytest.mark.asyncio
async def test_who_guesses_at_one_hub_is_locked_out_at_both(pair: Pair) -> None:
    for _ in range(ADDRESS_FAILURES.most):
        problem(await pair.login(pair.one, "a guess"), 401)
    locked = await pair.login(pair.other)
    problem(locked, 429)
    assert 0 < int(locked.headers["Retry-After"]) <= ADDRESS_FAILURES.seconds


@pytest.mark.asyncio
async def test_while_redis_is_away_sessions_wait_and_programs_go_on(pair: Pair) -> None:
    wanted = {"name": "nightly", "scope": ["devices:read"], "username": "ada"}
    made = await pair.one.post("/api/v1/tokens", json=wanted, headers=pair.admin)
    program = {"Authorization": f"Bearer {made.json()['token']}"}
    session = (await pair.login(pair.one)).json()
    pair.redis.stop()
    await asyncio.sleep(REMEMBERED)  # what is remembered is good for so long
    away = await pair.me(pair.one, session)
    problem(away, 503)
    assert int(away.headers["Retry-After"]) >= 1
    problem(await pair.login(pair.one), 503)
    assert (await pair.one.get("/api/v1/devices", headers=program)).status_code == 200
    await asyncio.to_thread(pair.redis.start)
    assert (await pair.login(pair.other)).status_code == 200
