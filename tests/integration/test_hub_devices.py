"""What the hub wants of devices reaches them as it happens; what they are is known and told."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from core_hub import CoreHub, TestDevice, log_batch, problem, running_core
from flip_hub.devices.keys import fingerprint
from flip_hub.devices.schemas import DeviceStatus
from flip_hub.live import DeviceChanged, Frame
from flip_wire.fleet import DesiredState
from flip_wire.models import ModelAssignment, Sha256

DIGITS = ModelAssignment(model="digits", version=3, manifest=Sha256("0" * 64), size=100)


@pytest.mark.asyncio
async def test_a_long_poll_wakes_when_a_model_is_assigned(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        first = await hub.http.get("/api/v1/device/desired", headers=device.headers)
        assert first.json() == {"generation": 0, "models": [], "work": [], "actions": []}
        poll = asyncio.create_task(hub.http.get("/api/v1/device/desired?after=0&wait=30", headers=device.headers))
        await asyncio.sleep(0)
        await hub.core.devices.assign_model(DIGITS)
        desired = msgspec.json.decode((await poll).content, type=DesiredState)
        assert desired == DesiredState(generation=1, models=[DIGITS])


@pytest.mark.asyncio
async def test_a_long_poll_ends_with_304_when_nothing_changes(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        answer = await hub.http.get("/api/v1/device/desired?after=0&wait=0.2", headers=device.headers)
        assert answer.status_code == 304
        assert answer.content == b""
        assert (
            "wait" in problem(await hub.http.get("/api/v1/device/desired?wait=61", headers=device.headers), 400).detail
        )


@pytest.mark.asyncio
async def test_a_device_that_joins_late_wants_what_the_others_want(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        await hub.core.devices.announce_work(["run-1"])
        await hub.core.devices.assign_model(DIGITS)
        newer = msgspec.structs.replace(DIGITS, version=4)
        await hub.core.devices.assign_model(newer)
        await hub.core.devices.assign_model(newer)
        late = await hub.enrol()
        answer = await hub.http.get("/api/v1/device/desired", headers=late.headers)
        assert answer.json()["generation"] == 3, "what is wanted already is no change"
        assert [model["version"] for model in answer.json()["models"]] == [4]
        assert answer.json()["work"] == [{"run_id": "run-1"}]


@pytest.mark.asyncio
async def test_a_revoked_device_loses_its_long_poll(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        poll = asyncio.create_task(hub.http.get("/api/v1/device/desired?after=0&wait=30", headers=device.headers))
        await asyncio.sleep(0.1)
        await hub.core.devices.revoke(device.id)
        problem(await poll, 403)


@pytest.mark.asyncio
async def test_the_gateway_finds_a_device_by_its_key_and_flower_by_its_node(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        devices = hub.core.devices
        device = await hub.enrol()
        found = await devices.by_key(fingerprint(device.public_key))
        assert found is not None
        assert found.id == device.id
        assert await devices.by_key("0" * 64) is None
        assert fingerprint(await devices.public_key(device.id)) == fingerprint(device.public_key)
        await devices.node_activated(device.id, "12345678901234567890")
        assert await devices.device_of_node("12345678901234567890") == device.id
        assert await devices.device_of_node("7") is None
        await devices.revoke(device.id)
        revoked = await devices.by_key(fingerprint(device.public_key))
        assert revoked is not None
        assert revoked.status is DeviceStatus.REVOKED


@pytest.mark.asyncio
async def test_a_device_that_falls_silent_becomes_unknown_and_the_console_is_told(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url, heartbeat=0.4) as hub:
        with hub.core.live.reading() as reader:
            device = await hub.enrol()
            told: list[DeviceStatus] = []
            async with asyncio.timeout(10):
                while told[-2:] != [DeviceStatus.OK, DeviceStatus.UNKNOWN]:
                    frame = msgspec.json.decode(await reader.next(), type=Frame)
                    assert isinstance(frame, DeviceChanged)
                    assert frame.data.id == device.id
                    told.append(frame.data.status)


@pytest.mark.asyncio
async def test_what_a_device_reports_shows_in_the_registry(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        sick = {"code": "disk", "title": "Disk full", "severity": "critical", "text": "1 MB left", "since": 1.0}
        health = {"uptime": 5.0, "rss": 2**25, "load": 0.1, "disk_free": 2**20, "outbox_depth": 3}
        health |= {"outbox_oldest": None, "dropped": 0, "conditions": [sick]}
        await _send(hub, device, 1, "health", health)
        state = {"generation": 7, "agent_version": "0.2.0", "training": "idle", "serving": [], "failures": []}
        await _send(hub, device, 2, "state", state)
        gap = {"priority": 3, "first": 1, "last": 9, "count": 9, "reason": "the outbox was full"}
        await _send(hub, device, 3, "gap", gap)

        shown = await hub.core.devices.get(device.id)
        assert shown.status is DeviceStatus.UNHEALTHY
        assert shown.health is not None
        assert shown.health.conditions[0].code == "disk"
        assert shown.reported is not None
        assert shown.reported.generation == 7
        assert shown.agent_version == "0.2.0"
        assert (shown.events_accepted, shown.events_dropped) == (3, 9)


async def _send(hub: CoreHub, device: TestDevice, seq: int, kind: str, body: object) -> None:
    answer = await hub.post("/api/v1/device/telemetry", log_batch([seq], kind=kind, body=body), device.headers)
    assert answer.status_code == 200, answer.text
