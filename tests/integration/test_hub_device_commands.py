"""`flip-hub devices` and `flip-hub enrolment-tokens`, as operators type them on the hub's machine."""

import time
from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio
import zstandard
from msgspec.structs import replace

from core_hub import CoreHub, log_batch, new_device, running_core
from flip_hub_command import flip_hub
from flip_wire.actions import MOST_LOG
from flip_wire.health import HealthReport, NetworkUse


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mongo_url: str) -> AsyncGenerator[CoreHub]:
    with TemporaryDirectory(prefix="flip-") as folder:
        async with running_core(Path(folder), mongo_url, tls=True) as hub:
            yield hub


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _typed(hub: CoreHub, folder: Path, *arguments: str, fails: bool = False) -> str:
    ran = await flip_hub(folder, *arguments, state=hub.settings.hub.state)
    assert (ran.returncode != 0) is fails, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stderr if fails else ran.stdout


async def test_the_command_that_is_shown_carries_token_and_fingerprint(hub: CoreHub, folder: Path) -> None:
    shown = await _typed(
        hub, folder, "enrolment-tokens", "create", "--uses", "5", "--site", "Bern", "--tag", "roof", "--note", "box 7"
    )
    token, told, command = shown.splitlines()
    assert "5 devices" in told
    assert command.split()[:5] == ["flip-agent", "enrol", hub.url, "--token", token]
    assert command.split()[5] == "--ca-sha256"
    assert (await hub.try_enrol(new_device(), token, "from the command")).status_code == 201
    listed = await _typed(hub, folder, "enrolment-tokens", "list")
    assert "4 of 5" in listed
    assert "box 7" in listed
    assert token not in listed
    token_id = listed.splitlines()[1].split()[0]
    assert "1 of 5 uses" in await _typed(hub, folder, "enrolment-tokens", "revoke", token_id)
    assert "revoked" in await _typed(hub, folder, "enrolment-tokens", "list")


async def test_a_device_is_shown_tagged_and_noted(hub: CoreHub, folder: Path) -> None:
    device = await hub.enrol("roof of the barn")
    await _typed(hub, folder, "devices", "tag", device.id, "ridge", "old", "--group", "north", "--site", "Bern")
    await _typed(hub, folder, "devices", "note", device.id, "the key is under the stone")
    shown = await _typed(hub, folder, "devices", "show", device.id)
    for expected in ("roof of the barn", "tags ridge, old", "groups north", "site Bern", "under the stone"):
        assert expected in shown
    for wanted, count in (("tag=ridge", 1), ("group=north&site=Bern", 1), ("tag=new", 0)):
        found = await hub.http.get(f"/api/v1/devices?{wanted}", headers=hub.as_user())
        assert len(found.json()) == count, wanted
    assert "left today" not in shown
    network = NetworkUse(limit=50 * 2**20, left=12 * 2**20, passed={"telemetry": 8 * 2**20, "models": 30 * 2**20})
    report = HealthReport(
        uptime=1, rss=1, load=0, disk_free=1, outbox_depth=0, outbox_oldest=None, dropped=0, network=network
    )
    assert (
        await hub.post("/api/v1/device/telemetry", log_batch([1], kind="health", body=report), device.headers)
    ).status_code == 200
    shown = await _typed(hub, folder, "devices", "show", device.id)
    assert "12.0 of 50.0 MiB left today (passed: telemetry 8.0, models 30.0)" in shown
    until = time.time() + 3600
    hhmm = datetime.fromtimestamp(until).strftime("%H:%M")
    until_then, over = (2, until, f"used up until {hhmm}"), (3, until - 3601, "12.0 of 50.0 MiB left today")
    for seq, moment, expected in (until_then, over):
        rare = replace(report, network=replace(network, until=moment, pace=2400.0))
        sent = await hub.post("/api/v1/device/telemetry", log_batch([seq], kind="health", body=rare), device.headers)
        assert sent.status_code == 200
        shown = await _typed(hub, folder, "devices", "show", device.id)
        assert expected in shown
    assert "used up" not in shown
    assert "no device" in await _typed(hub, folder, "devices", "show", "dev-none", fails=True)
    assert "not flagged" in await _typed(hub, folder, "devices", "clear-clone", device.id)


async def test_an_action_is_asked_and_its_logs_are_read(hub: CoreHub, folder: Path) -> None:
    device = await hub.enrol("asked")
    asked = await _typed(hub, folder, "devices", "action", "ask", device.id, "collect-logs", "--reason", "it is slow")
    action = asked.split()[0]
    assert "queued" in asked
    pending = await _typed(hub, folder, "devices", "show", device.id)
    assert f"action {action} collect-logs" in pending
    log = zstandard.compress(b"a line\n" * 1000)
    assert len(log) < MOST_LOG
    result = {"id": action, "outcome": "done", "text": "7 kB of logs", "at": 1.0, "log": log}
    sent = await hub.post("/api/v1/device/telemetry", log_batch([1], kind="action", body=result), device.headers)
    assert sent.status_code == 200, sent.text
    shown = await _typed(hub, folder, "devices", "action", "show", device.id, action)
    assert "done" in shown
    assert f"flip-hub devices action log {device.id} {action}" in shown
    assert await _typed(hub, folder, "devices", "action", "log", device.id, action) == "a line\n" * 1000
    assert action in await _typed(hub, folder, "devices", "action", "list", device.id)
    assert "no action" in await _typed(hub, folder, "devices", "action", "show", device.id, "act-none", fails=True)
