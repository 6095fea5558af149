"""The hub takes a device's event `rollback`, once, and tells people of it."""

from pathlib import Path

import msgspec
import pytest

from core_hub import CoreHub, TestDevice, log_batch, problem, running_core
from flip_hub.commands.devices import serving_text
from flip_wire.fleet import ReportedState, RolloutFailure, ServingModel
from flip_wire.models import RolledBack, Sha256
from flip_wire.telemetry import Priority

ROLLED_BACK = RolledBack(
    model="digits",
    version=6,
    manifest=Sha256("c" * 64),
    to_version=5,
    reason="by hand: mistakes 7 for 1",
    at=1763740800.25,
)


async def told(hub: CoreHub, device: TestDevice) -> list[RolledBack]:
    answer = await hub.http.get(f"/api/v1/devices/{device.id}/events", headers=hub.as_user())
    return [msgspec.convert(each["body"], RolledBack) for each in answer.json() if each["kind"] == "rollback"]


@pytest.mark.asyncio
async def test_a_rollback_that_comes_twice_is_one_event_of_the_device(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        batch = log_batch([1], kind="rollback", body=ROLLED_BACK)
        alert = msgspec.structs.replace(batch, priority=Priority.ALERT)
        for _ in range(2):
            answer = await hub.post("/api/v1/device/telemetry", alert, device.headers)
            assert answer.status_code == 200, answer.text
        assert await told(hub, device) == [ROLLED_BACK]


@pytest.mark.asyncio
async def test_a_rollback_without_its_reason_is_no_event(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        batch = log_batch([1], kind="rollback", body={"model": "digits", "version": 6})
        refused = problem(await hub.post("/api/v1/device/telemetry", batch, device.headers), 422)
        assert "event 0 (seq 1)" in refused.detail


def test_the_list_of_devices_shows_what_is_not_served_and_why() -> None:
    reported = ReportedState(
        generation=3,
        agent_version="0.1.0",
        training="idle",
        serving=[ServingModel(model="digits", version=5, since=0.0, url="")],
        failures=[RolloutFailure(model="digits", version=6, reason="rolled back: error rate 12 %")],
    )
    assert serving_text(reported) == "digits 5, not digits 6: rolled back: error rate 12 %"
    assert serving_text(None) == ""
