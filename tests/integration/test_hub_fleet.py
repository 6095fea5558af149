"""The whole fleet in a few words, the devices that are sought, and how the hub itself is."""

import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from core_hub import CoreHub, TestDevice, log_batch, problem, running_core
from flip_hub.auth.permissions import Role
from flip_hub.cluster.lease import ALONE
from flip_hub.core import Core
from flip_hub.devices.brief import DeviceBrief
from flip_hub.devices.schemas import DeviceStatus
from flip_hub.health import Health
from flip_hub.mongo import Mongo
from flip_hub.settings import Settings
from flip_hub.system.routes import SystemController
from flip_hub.system.schemas import SystemState
from flip_hub.system.service import System
from flip_hub.system.shown_settings import shown_settings
from flip_wire.fleet import ReportedState, ServingModel
from flip_wire.health import Condition, HealthReport, Severity

pytestmark = pytest.mark.asyncio

SOURCES = {"hub.port": "/etc/flip/hub.toml", "mongo.url": "FLIP_MONGO__URL"}


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[CoreHub]:
    def beside(core: Core, mongo: Mongo, settings: Settings) -> tuple[list[Any], dict[str, object]]:
        system = System(
            settings,
            shown_settings(settings, SOURCES),
            mongo=mongo,
            health=Health({"mongo": mongo.missing}),
            live=core.live,
            telemetry=core.telemetry,
            leading=ALONE,
        )
        return [SystemController], {"system": system}

    async with running_core(folder, mongo_url, beside=beside) as running:
        yield running


async def test_every_device_is_there_in_a_few_words(hub: CoreHub) -> None:
    ill, new = await hub.enrol("press-line-3"), await hub.enrol("ferry-bridge")
    await _report(hub, ill, Severity.INFO, Severity.CRITICAL, Severity.WARNING)
    await hub.http.patch(f"/api/v1/devices/{new.id}", json={"site": "north", "tags": ["gpu"]}, headers=hub.as_user())
    ferry, press = msgspec.json.decode((await _get(hub, "/api/v1/fleet")).content, type=list[DeviceBrief])
    assert (press.name, press.status, press.severity) == ("press-line-3", DeviceStatus.UNHEALTHY, Severity.CRITICAL)
    assert (press.serving, press.training, press.backlog) == (["digits@4"], "idle", 7)
    assert (ferry.status, ferry.site, ferry.tags, ferry.serving) == (DeviceStatus.OK, "north", ["gpu"], [])
    shown = await hub.core.devices.get(ill.id)
    assert (shown.status, shown.name) == (press.status, press.name)


async def test_devices_are_found_by_words_of_their_name_id_and_models(hub: CoreHub) -> None:
    press, clinic = await hub.enrol("press.line-3"), await hub.enrol("clinic-aarhus-02")
    await _report(hub, press)
    for words, found in {
        "AARHUS clinic": [clinic],
        "press.line": [press],
        "pressxline": [],
        "digits@4": [press],
        "digits@5": [],
        f"{clinic.id}": [clinic],
        "digits@4 clinic": [],
        "": [clinic, press],
        "(*": [],
    }.items():
        answer = await hub.http.get("/api/v1/devices", params={"search": words}, headers=hub.as_user())
        assert [device["id"] for device in answer.json()] == [each.id for each in found], words


async def test_the_hub_says_how_its_parts_are(hub: CoreHub) -> None:
    device = await hub.enrol("one")
    await _report(hub, device)
    state = msgspec.json.decode((await _get(hub, "/api/v1/system", Role.VIEWER)).content, type=SystemState)
    [mongo] = state.parts
    assert mongo.version.startswith("MongoDB ")
    assert mongo.missing == ""
    assert state.leading
    assert state.ingest.events == 2
    assert state.ingest.took > 0
    assert 0 < state.room.free < state.room.total
    assert state.room.database > 0
    assert state.memory > 10 * 2**20
    assert {"python", "flwr", "litestar"} <= set(state.packages)


async def test_settings_are_shown_with_their_source_and_without_secrets(hub: CoreHub) -> None:
    problem(await _get(hub, "/api/v1/system/settings", Role.OPERATOR), 403)
    told = {f"{each['section']}.{each['key']}": each for each in (await _get(hub, "/api/v1/system/settings")).json()}
    assert told["hub.port"]["source"] == "/etc/flip/hub.toml"
    assert told["hub.port"]["value"] == str(hub.settings.hub.port)
    assert told["devices.heartbeat"]["default"]
    secret = msgspec.structs.replace(
        hub.settings,
        mongo=msgspec.structs.replace(hub.settings.mongo, url="mongodb://ada:tr0ub4dor@db:27017/?authSource=flip"),
        webhook=msgspec.structs.replace(hub.settings.webhook, url="https://hooks.example/T0K3N"),
    )
    text = msgspec.json.encode(shown_settings(secret, SOURCES)).decode()
    assert "mongodb://***@db:27017/" in text
    assert not [word for word in ("tr0ub4dor", "T0K3N", "ada") if word in text]


async def test_whoever_may_read_the_audit_may_have_its_chain_verified(hub: CoreHub) -> None:
    await hub.enrol("one")
    problem(await _get(hub, "/api/v1/audit/verification", Role.OPERATOR), 403)
    verdict = (await _get(hub, "/api/v1/audit/verification")).json()
    assert verdict["broken"] is None
    assert verdict["end"]["seq"] > 0
    await hub.mongo.database["audit"].update_one({"_id": 1}, {"$set": {"actor": "somebody else"}})
    assert (await _get(hub, "/api/v1/audit/verification")).json()["broken"]["seq"] == 1


async def _get(hub: CoreHub, path: str, role: Role = Role.ADMIN) -> Any:
    return await hub.http.get(path, headers=hub.as_user(role))


async def _report(hub: CoreHub, device: TestDevice, *severities: Severity) -> None:
    """It serves digits@4, and has a condition of each of these."""
    conditions = [
        Condition(code=f"c-{number}", title="t", severity=severity, text="x", since=time.time())
        for number, severity in enumerate(severities)
    ]
    health = HealthReport(
        uptime=1.0,
        rss=1,
        load=0.1,
        disk_free=1,
        outbox_depth=7,
        dropped=0,
        outbox_oldest=None,
        conditions=conditions,
    )
    serving = [ServingModel(model="digits", version=4, since=1.0, url="http://127.0.0.1:8082/")]
    state = ReportedState(generation=0, agent_version="0.1.0", training="idle", serving=serving)
    for seq, (kind, body) in enumerate((("health", health), ("state", state)), start=1):
        batch = log_batch([seq], epoch=device.id, kind=kind, body=msgspec.to_builtins(body))
        answer = await hub.post("/api/v1/device/telemetry", batch, device.headers)
        assert answer.status_code == 200, answer.text
