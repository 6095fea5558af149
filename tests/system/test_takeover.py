"""One of two real hubs runs the federation, the other takes over when it is killed or stands still; runs end truly."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import httpx
import msgspec
import pytest
import pytest_asyncio
from proxied_hubs import LEASE, OneHub, ProxiedHubs

from core_hub import new_device
from federation import appears, process
from flip_hub.federation.schemas import Run, RunDetail
from flip_wire.fleet import EnrolRequest
from integration.hub_parts import fab_of
from integration.session_lab import APPS, Device, training
from integration.session_lab import fab_of as fab_of_app

pytestmark = pytest.mark.asyncio

TAKES_OVER_WITHIN = 120.0
"""Seconds on a busy machine: the lease, and Flower's start."""


class Person:
    """Who is logged in at both hubs, and calls each by its own address."""

    def __init__(self, hubs: ProxiedHubs, http: httpx.AsyncClient) -> None:
        self.hubs = hubs
        self.http = http
        self._bearer: dict[str, str] = {}

    async def log_in(self) -> None:
        login = {"username": "ada", "password": self.hubs.password.read_text().strip()}
        answer = await self.http.post(f"{self.hubs.hubs[0].url}/api/v1/auth/login", json=login)
        assert answer.is_success, answer.text
        self._bearer = {"Authorization": f"Bearer {answer.json()['token']}"}

    async def call(self, at: str, verb: str, path: str, **request: object) -> httpx.Response:
        return await self.http.request(verb, f"{at}{path}", headers=self._bearer, **request)  # pyright: ignore[reportArgumentType]

    async def enrol_a_device(self) -> None:
        at = self.hubs.hubs[0].url
        token = (await self.call(at, "POST", "/api/v1/enrolment-tokens", json={})).json()["token"]
        request = EnrolRequest(token=token, name="box", public_key=new_device().public_key, agent_version="0.1.0")
        headers = {"Content-Type": "application/json"}
        answer = await self.http.post(f"{at}/api/v1/enrol", content=msgspec.json.encode(request), headers=headers)
        assert answer.is_success, answer.text

    async def start_run(self, at: str) -> httpx.Response:
        app = (await self.call(at, "POST", "/api/v1/apps", content=fab_of())).json()
        return await self.call(at, "POST", "/api/v1/runs", json={"fab_hash": app["fab_hash"]})

    async def started(self, at: str) -> Run:
        """Once the SuperLink there is up."""
        async with asyncio.timeout(TAKES_OVER_WITHIN):
            while not (answer := await self.start_run(at)).is_success:
                assert answer.status_code in (502, 503, 504), answer.text
                await asyncio.sleep(0.5)
        return msgspec.json.decode(answer.content, type=Run)

    async def runs(self, at: str) -> list[Run]:
        return msgspec.json.decode((await self.call(at, "GET", "/api/v1/runs")).content, type=list[Run])

    async def ended(self, at: str, run: Run) -> Run:
        async with asyncio.timeout(TAKES_OVER_WITHIN):
            while True:
                with suppress(httpx.TransportError):
                    answer = await self.call(at, "GET", f"/api/v1/runs/{run.id}")
                    if answer.is_success:
                        detail = msgspec.json.decode(answer.content, type=RunDetail)
                        if detail.run.finished_at is not None:
                            return detail.run
                await asyncio.sleep(0.2)


@pytest_asyncio.fixture
async def ada(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Person]:
    monkeypatch.setenv("FLIP_APPS__HUB_SIGNS", "true")
    hubs = ProxiedHubs(folder)
    try:
        await hubs.start()
        async with httpx.AsyncClient(verify=hubs.trust, timeout=60.0, trust_env=False) as http:
            person = Person(hubs, http)
            await person.log_in()
            await person.enrol_a_device()
            yield person
    finally:
        await hubs.stop()


def other(hubs: ProxiedHubs, holder: OneHub) -> OneHub:
    return next(hub for hub in hubs.hubs if hub is not holder)


async def test_a_run_ends_truthfully_when_its_hub_is_killed_or_stands_still(ada: Person) -> None:
    hubs = ada.hubs
    first = await hubs.holder()
    second = other(hubs, first)
    run = await ada.started(first.url)

    # the hub without the lease does nothing, and says so
    known = await ada.runs(first.url)
    refused = await ada.start_run(second.url)
    assert (refused.status_code, "Retry-After" in refused.headers) == (503, True), refused.text
    assert (await ada.call(second.url, "POST", f"/api/v1/runs/{run.id}/stop")).status_code == 503
    assert (await ada.call(second.url, "GET", f"/api/v1/runs/{run.id}/logs")).status_code == 503
    assert [each.id for each in await ada.runs(second.url)] == [each.id for each in known]
    control = f"https://localhost:{second.settings.control.port}/v1/control/list-runs"
    assert (await ada.http.post(control)).status_code == 503
    with pytest.raises(LookupError):
        process(second.process.pid, "superlink_process")

    # killed: the other one takes over, goes on with the run, and runs the next
    await first.kill()
    lost = await ada.ended(second.url, run)
    assert (lost.status, lost.started_by) == ("failed", "ada"), "it went on there, and its app is none"
    assert lost.earlier == [run.flower_run_id]
    again = await ada.started(second.url)
    assert await hubs.holder() is second

    # standing still: the first takes over; what then wakes up does nothing any more
    await first.process.start()
    superlink = await appears(lambda: second.process.pid, "superlink_process")
    assert second.process.pid is not None
    os.kill(second.process.pid, signal.SIGSTOP)
    try:
        assert (await ada.ended(first.url, again)).earlier == [again.flower_run_id]
        async with asyncio.timeout(TAKES_OVER_WITHIN):
            while not (await ada.start_run(first.url)).is_success:
                await asyncio.sleep(0.5)
    finally:
        os.kill(second.process.pid, signal.SIGCONT)
    before = {each.id for each in await ada.runs(first.url)}
    async with asyncio.timeout(LEASE * 10):
        while superlink.is_running():
            with suppress(httpx.TransportError):
                assert (await ada.start_run(second.url)).status_code == 503
            await asyncio.sleep(0.1)
    assert {each.id for each in await ada.runs(first.url)} == before
    assert await hubs.holder() is first


async def test_a_run_goes_on_at_the_other_hub_and_no_device_does_a_finished_round_again(
    ada: Person, folder: Path
) -> None:
    hubs, calls = ada.hubs, folder / "calls"
    devices = [await enrolled(ada, folder / name) for name in ("one", "two")]

    def made() -> Counter[str]:
        """`train ROUND NODE`: how often."""
        return Counter(calls.read_text().splitlines()) if calls.exists() else Counter()

    first = await hubs.holder()
    config = {"devices": 2, "num-server-rounds": 6, "seconds": 0.5, "calls": str(calls)}
    async with training(*devices):
        app = (await ada.call(hubs.url, "POST", "/api/v1/apps", content=fab_of_app(APPS / "drifting"))).json()
        wanted = {"fab_hash": app["fab_hash"], "config": config, "plan": {"seed": 7}}
        answer = await ada.call(hubs.url, "POST", "/api/v1/runs", json=wanted)
        assert answer.is_success, answer.text
        run = msgspec.json.decode(answer.content, type=Run)
        async with asyncio.timeout(TAKES_OVER_WITHIN):
            while not any(call.startswith("train 3 ") for call in made()):
                await asyncio.sleep(0.02)
        await first.kill()
        ended = await ada.ended(other(hubs, first).url, run)
    assert (ended.status, ended.round, ended.earlier) == ("finished", 6, [run.flower_run_id]), ended.reason
    assert len(made()) == 2 * 2 * 6
    assert set(made().values()) == {1}, "a device did a round twice"


async def enrolled(ada: Person, state: Path) -> Device:
    device = Device(state, idle_exit=600.0)
    token = (await ada.call(ada.hubs.url, "POST", "/api/v1/enrolment-tokens", json={})).json()["token"]
    command = [sys.executable, "-m", "flip_agent", "enrol", ada.hubs.url, "--token", token, "--name", state.name]
    where = {**os.environ, "FLIP_AGENT__STATE": str(state)}
    trusting = [*command, "--ca", str(ada.hubs.authority)]
    await asyncio.to_thread(subprocess.run, trusting, check=True, env=where, capture_output=True)
    return device
