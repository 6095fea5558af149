"""A device becomes known by a single-use token: wholly, or not at all."""

import time
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from core_hub import CoreHub, TestDevice, new_device, problem, running_core
from flip_wire.version import WIRE_VERSION


async def _names(hub: CoreHub) -> list[str]:
    answer = await hub.http.get("/api/v1/devices", headers=hub.as_user())
    return [device["name"] for device in answer.json()]


@pytest.mark.asyncio
async def test_an_enrolled_device_gets_an_identity_and_is_listed(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        answer = await hub.try_enrol(new_device(), await hub.enrolment_token(), "north")
        assert answer.status_code == 201
        assert answer.json()["fleet_address"] == "127.0.0.1:9092"
        assert answer.json()["ca"].startswith("-----BEGIN CERTIFICATE-----")
        assert answer.json()["model_keys"] == hub.core.model_signer.keys
        shown = await hub.http.get(f"/api/v1/devices/{answer.json()['device_id']}", headers=hub.as_user())
        assert shown.json()["name"] == "north"
        assert shown.json()["status"] == "unknown"


@pytest.mark.asyncio
async def test_a_token_serves_one_key_and_that_key_may_ask_again(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        token, device = await hub.enrolment_token(), new_device()
        first = await hub.try_enrol(device, token, "north")
        assert (await hub.try_enrol(device, token, "north")).json() == first.json(), "a lost answer can be asked for"
        told = problem(await hub.try_enrol(new_device(), token, "south"), 403)
        assert "used" in told.detail
        assert "enrolment-tokens create" in told.hint
        assert await _names(hub) == ["north"]


@pytest.mark.asyncio
async def test_enrolling_again_with_the_same_key_keeps_the_identity_unless_it_is_revoked(
    folder: Path, mongo_url: str
) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol("north")
        again = await hub.try_enrol(device, await hub.enrolment_token(), "north")
        assert again.json()["device_id"] == device.id
        assert "--name north" in problem(await hub.try_enrol(device, await hub.enrolment_token(), "south"), 409).hint
        await hub.core.devices.revoke(device.id)
        problem(await hub.try_enrol(device, await hub.enrolment_token(), "north"), 409)


@pytest.mark.asyncio
async def test_unknown_and_expired_tokens_are_refused(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        assert "not known" in problem(await hub.try_enrol(new_device(), "made-up"), 403).detail
        token = await hub.enrolment_token(lifetime=0.001)
        assert "expired" in problem(await hub.try_enrol(new_device(), token), 403).detail
        assert await _names(hub) == []


@pytest.mark.asyncio
async def test_a_refused_enrolment_registers_nothing_and_leaves_the_token_unused(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        await hub.enrol("north")
        token = await hub.enrolment_token()
        taken = problem(await hub.try_enrol(new_device(), token, "north"), 409)
        assert "--name" in taken.hint
        small = TestDevice(ec.generate_private_key(ec.SECP256R1()))
        assert "P-384" in problem(await hub.try_enrol(small, token, "south"), 422).detail
        problem(await hub.try_enrol(new_device(), token, "south", public_key="no key"), 422)
        newer = problem(await hub.try_enrol(new_device(), token, "south", wire_version=WIRE_VERSION + 1), 422)
        assert "update the hub" in newer.hint
        problem(await hub.try_enrol(new_device(), token, ""), 422)
        assert await _names(hub) == ["north"]
        assert (await hub.try_enrol(new_device(), token, "south")).status_code == 201


@pytest.mark.asyncio
async def test_an_assertion_is_exchanged_once(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        assertion = device.assertion()
        assert (await hub.post("/api/v1/device/token", assertion)).status_code == 200
        assert "used before" in problem(await hub.post("/api/v1/device/token", assertion), 401).detail


@pytest.mark.asyncio
async def test_an_assertion_off_the_hubs_clock_is_refused_and_the_clock_told(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        for wrong in (-301.0, 301.0):
            answer = await hub.post("/api/v1/device/token", device.assertion(at=time.time() + wrong))
            assert "clock" in problem(answer, 401).hint
            assert abs(float(answer.headers["Flip-Time"]) - time.time()) < 10
        right = await hub.post("/api/v1/device/token", device.assertion(at=time.time() + 290))
        assert right.status_code == 200


@pytest.mark.asyncio
async def test_a_forged_assertion_is_refused(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        forged = TestDevice(new_device().key, device.id).assertion()
        problem(await hub.post("/api/v1/device/token", forged), 401)
        unsigned = msgspec.structs.replace(device.assertion(), signature="@@@")
        problem(await hub.post("/api/v1/device/token", unsigned), 401)
        stranger = TestDevice(device.key, msgspec.convert("dev-000000000000", type(device.id))).assertion()
        problem(await hub.post("/api/v1/device/token", stranger), 401)


@pytest.mark.asyncio
async def test_a_revoked_device_is_shut_out_at_once_and_its_name_is_free(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol("north")
        answer = await hub.http.post(f"/api/v1/devices/{device.id}/revoke", headers=hub.as_user())
        assert answer.json()["status"] == "revoked"
        problem(await hub.http.get("/api/v1/device/desired", headers=device.headers), 403)
        problem(await hub.post("/api/v1/device/token", device.assertion()), 403)
        await hub.enrol("north")
        problem(await hub.http.post("/api/v1/devices/dev-nobody/revoke", headers=hub.as_user()), 404)
