"""Health over time: each report once, in steps that a chart can show."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from core_hub import CoreHub, TestDevice, log_batch, problem, running_core
from flip_hub.vitals.store import HealthStore
from flip_wire.telemetry import Priority, Stamp

HEALTH = {
    "uptime": 5.0,
    "rss": 100,
    "load": 0.0,
    "disk_free": 50,
    "outbox_depth": 0,
    "outbox_oldest": None,
    "dropped": 0,
}


async def _report(hub: CoreHub, device: TestDevice, seq: int, ago: Sequence[float], **changes: object) -> None:
    """Made so many seconds ago, in one batch."""
    batch = log_batch(range(seq, seq + len(ago)), kind="health", body=HEALTH | changes)
    now = Stamp(wall=time.time(), monotonic=1e6, boot_id="boot")
    stamps = [Stamp(wall=now.wall - each, monotonic=now.monotonic - each, boot_id="boot") for each in ago]
    events = [replace(event, at=at) for event, at in zip(batch.events, stamps, strict=True)]
    sent = replace(batch, priority=Priority.HEALTH, events=events, sent=now)
    answer = await hub.post("/api/v1/device/telemetry", sent, device.headers)
    assert answer.status_code == 200, answer.text


async def _history(hub: CoreHub, device: TestDevice, query: str = "") -> list[dict[str, Any]]:
    answer = await hub.http.get(f"/api/v1/devices/{device.id}/health{query}", headers=hub.as_user())
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.asyncio
async def test_reports_are_told_in_steps_also_those_that_came_late(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        hot = {"code": "heat", "title": "Hot", "severity": "warning", "text": "", "since": 1.0}
        await _report(hub, device, 0, [7200.0 + 10 * number for number in range(20)], load=1.0, temperature=50.0)
        await _report(hub, device, 20, [30.0], load=1.0, temperature=60.0, conditions=[hot], disk_free=40)
        await _report(hub, device, 21, [20.0, 10.0], load=4.0, temperature=90.0)
        points = await _history(hub, device, "?step=60")
        late, recent = ([each for each in points if (each["at"] < time.time() - 3600) is old] for old in (True, False))
        assert sum(each["samples"] for each in late) == 20
        assert {(each["load"], each["temperature_max"], each["disk_free"]) for each in late} == {(1.0, 50.0, 50.0)}
        assert sum(each["samples"] for each in recent) == 3
        assert max(each["load_max"] for each in recent) == 4.0
        assert max(each["temperature_max"] for each in recent) == 90.0
        assert min(each["disk_free"] for each in recent) == 40
        assert {code for each in recent for code in each["conditions"]} == {"heat"}
        assert points == sorted(points, key=lambda each: each["at"])
        assert all(each["at"] % 60 == 0 for each in points)


@pytest.mark.asyncio
async def test_samples_that_were_stored_twice_count_once(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device, health = await hub.enrol(), HealthStore(hub.mongo.database)
        await _report(hub, device, 0, [50.0, 40.0, 30.0], load=2.0)
        for _ in range(3):
            await health.save({device.id: []})  # as a hub that was killed before the record said so
        await _report(hub, device, 3, [20.0], load=4.0)
        (point,) = await _history(hub, device, "?step=1000000")
        assert (point["samples"], point["load"]) == (4, 2.5)
        (all_of_it,) = await health.points(device.id, 0.0, 1e11, 1e10)
        assert all_of_it.samples == 4


@pytest.mark.asyncio
async def test_what_is_asked_for_is_bounded_and_its_absence_is_told(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        assert await _history(hub, device) == []
        path = f"/api/v1/devices/{device.id}/health"
        for query in ("since=20&until=10", "since=0&until=1e10", "step=1", "since=5&until=5"):
            told = problem(await hub.http.get(f"{path}?{query}", headers=hub.as_user()), 400)
            assert told.hint
        for query in ("since=-1", "step=0", "until=1e99", "since=nan"):
            assert (await hub.http.get(f"{path}?{query}", headers=hub.as_user())).status_code in (400, 400)
        problem(await hub.http.get("/api/v1/devices/none/health", headers=hub.as_user()), 404)
        problem(await hub.http.get(path), 401)
