"""Telemetry: each event once, counted once, and what is malformed is named."""

import asyncio
import time
from pathlib import Path

import httpx
import msgspec
import pytest
import zstandard

from core_hub import CoreHub, TestDevice, log_batch, problem, running_core
from flip_hub.cluster.bus import Bus
from flip_hub.devices.schemas import DeviceStatus
from flip_hub.devices.service import DeviceService
from flip_hub.devices.store import DeviceStore
from flip_hub.telemetry.batch import MAX_PLAIN, MAX_SENT
from flip_wire.telemetry import Stamp

TELEMETRY = "/api/v1/device/telemetry"

GARBAGE = [
    b"",
    b"\xff\xfe",
    b"[]",
    b"null",
    b'{"epoch": "e", "priority": 9, "events": []}',
    b'{"epoch": "e", "priority": 1, "events": []}',
    b'{"epoch": "", "priority": 1, "events": [{}]}',
    b'{"epoch": "e", "priority": 1, "events": [1, "\xff"]}',
    b'{"epoch": "e", "priority": 1, "events": [{"seq": 99999999999999999999, "kind": "log", "at": {"wall": 1.0, '
    b'"monotonic": 1.0, "boot_id": "b"}, "body": {}}]}',
    b'{"epoch": "e", "priority": 1, "events": [{"seq": 1, "kind": "log", "at": {"wall": 1.0, "monotonic": 1.0, '
    b'"boot_id": "\\ud800"}, "body": {}}]}',
    b'{"epoch": "e", "priority": 1, "events": [{"seq": 1, "kind": "gap", "at": {"wall": 1.0, "monotonic": 1.0, '
    b'"boot_id": "b"}, "body": {"priority": 1, "first": 1, "last": 2, "count": -5, "reason": "r"}}]}',
]


async def _events(hub: CoreHub, device: TestDevice) -> list[int]:
    answer = await hub.http.get(f"/api/v1/devices/{device.id}/events?limit=1000", headers=hub.as_user())
    assert answer.status_code == 200, answer.text
    return [event["seq"] for event in answer.json()]


async def _send_raw(hub: CoreHub, device: TestDevice, content: bytes, encoding: str = "") -> httpx.Response:
    headers = device.headers | ({"Content-Encoding": encoding} if encoding else {})
    return await hub.http.post(TELEMETRY, content=content, headers=headers)


@pytest.mark.asyncio
async def test_a_batch_that_comes_twice_is_inserted_and_counted_once(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        for seqs in ([1, 2, 3], [1, 2, 3], [2, 3, 4]):
            answer = await hub.post(TELEMETRY, log_batch(seqs), device.headers)
            assert answer.json() == {"priority": 3, "up_to": seqs[-1]}
        assert await _events(hub, device) == [4, 3, 2, 1]
        assert (await hub.core.devices.get(device.id)).events_accepted == 4


@pytest.mark.asyncio
async def test_two_batches_at_once_are_both_counted(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        batches = [log_batch(range(100, 110)), msgspec.structs.replace(log_batch(range(10)), priority=0)]
        answers = await asyncio.gather(*(hub.post(TELEMETRY, batch, device.headers) for batch in batches))
        assert {answer.status_code for answer in answers} == {200}
        assert (await hub.core.devices.get(device.id)).events_accepted == 20


@pytest.mark.asyncio
async def test_a_compressed_batch_of_unknown_kinds_is_kept_as_it_came(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        body = {"$where": "1", "a.b": 2**80, "deep": [[[None]]]}
        plain = msgspec.json.encode(log_batch([1], kind="from-the-future", body=body))
        answer = await _send_raw(hub, device, zstandard.compress(plain), "zstd")
        assert answer.status_code == 200, answer.text
        events = await hub.http.get(f"/api/v1/devices/{device.id}/events", headers=hub.as_user())
        assert events.json()[0]["kind"] == "from-the-future"
        assert events.json()[0]["body"] == body


@pytest.mark.asyncio
async def test_a_malformed_event_is_named_and_nothing_of_its_batch_is_kept(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        good, bad = log_batch([1]).events[0], log_batch([7], kind="health", body={"uptime": "long"}).events[0]
        batch = msgspec.structs.replace(log_batch([1]), events=[good, bad])
        told = problem(await hub.post(TELEMETRY, batch, device.headers), 422)
        assert "event 1 (seq 7)" in told.detail
        assert await _events(hub, device) == []


@pytest.mark.asyncio
async def test_garbage_is_refused_with_a_reason(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        for content in GARBAGE:
            problem(await _send_raw(hub, device, content), 422)
        assert await _events(hub, device) == []


@pytest.mark.asyncio
async def test_what_is_too_large_is_refused_before_it_is_unpacked(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        bomb = zstandard.compress(b" " * (MAX_PLAIN * 4))
        assert len(bomb) < MAX_SENT
        problem(await _send_raw(hub, device, bomb, "zstd"), 413)
        problem(await _send_raw(hub, device, b" " * (MAX_SENT + 1)), 413)
        problem(await _send_raw(hub, device, b"not zstd", "zstd"), 422)
        problem(await _send_raw(hub, device, b"{}", "br"), 422)


@pytest.mark.asyncio
async def test_times_are_corrected_by_when_the_batch_left(folder: Path, mongo_url: str) -> None:
    """The device's clock is years off; an event of an earlier boot is moved by as much."""
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        sent = Stamp(wall=1000.0, monotonic=500.0, boot_id="now")
        stamps = [
            Stamp(wall=9e9, monotonic=440.0, boot_id="now"),
            Stamp(wall=400.0, monotonic=7e6, boot_id="earlier"),
            Stamp(wall=5000.0, monotonic=0.0, boot_id="earlier"),
        ]
        batch = log_batch([1, 2, 3])
        events = [msgspec.structs.replace(event, at=at) for event, at in zip(batch.events, stamps, strict=True)]
        await hub.post(TELEMETRY, msgspec.structs.replace(batch, events=events, sent=sent), device.headers)
        answer = await hub.http.get(f"/api/v1/devices/{device.id}/events", headers=hub.as_user())
        ago = {event["seq"]: event["received_at"] - event["happened_at"] for event in answer.json()}
        assert [ago[seq] for seq in (1, 2, 3)] == pytest.approx([60.0, 600.0, 500.0], abs=0.01)
        assert [event["seq"] for event in answer.json()] == [1, 3, 2], "an earlier boot came before this one"


@pytest.mark.asyncio
@pytest.mark.parametrize("wrong_by", [-3e7, -3600.0, 0.0, 3600.0, 3e7])
async def test_a_device_that_restarts_in_an_outage_with_a_wrong_clock_is_understood(
    folder: Path, mongo_url: str, wrong_by: float
) -> None:
    """The hub hears from a boot; in the outage that follows the device restarts, and its clock is wrong since then."""
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        now = time.time()

        async def post(seqs: list[int], stamps: list[Stamp], sent: Stamp, epoch: str = "e1") -> None:
            batch = log_batch(seqs, epoch=epoch)
            events = [msgspec.structs.replace(event, at=at) for event, at in zip(batch.events, stamps, strict=True)]
            answer = await hub.post(TELEMETRY, msgspec.structs.replace(batch, events=events, sent=sent), device.headers)
            assert answer.status_code == 200

        # boot "a" began 9,000 s ago with the right clock, and is heard at 9,000 s of its life: now
        await post(
            [1], [Stamp(wall=now, monotonic=9000.0, boot_id="a")], Stamp(wall=now, monotonic=9000.0, boot_id="a")
        )
        # as if the outage had been before: events of "a" from 7,000 to 5,000 s ago, then 1,000 s of the boot "b"
        b = Stamp(wall=now + wrong_by, monotonic=1000.0, boot_id="b")
        waited = [Stamp(wall=now - ago, monotonic=9000.0 - ago, boot_id="a") for ago in (7000.0, 5000.0)]
        waited += [Stamp(wall=b.wall - ago, monotonic=1000.0 - ago, boot_id="b") for ago in (900.0, 10.0)]
        await post([2, 3, 4, 5], waited, b)
        answer = await hub.http.get(f"/api/v1/devices/{device.id}/events", headers=hub.as_user())
        ago = {event["seq"]: now - event["happened_at"] for event in answer.json()}
        assert [ago[seq] for seq in (2, 3, 4, 5)] == pytest.approx([7000.0, 5000.0, 900.0, 10.0], abs=60)
        assert sorted(ago, key=lambda seq: -ago[seq]) == [2, 3, 4, 5, 1]


@pytest.mark.asyncio
async def test_what_a_device_declared_dropped_is_listed_once(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        gap = {"priority": 3, "first": 4, "last": 90, "count": 80, "reason": "outbox full"}
        for _ in range(2):
            await hub.post(TELEMETRY, log_batch([91], kind="gap", body=gap), device.headers)
        answer = await hub.http.get(f"/api/v1/devices/{device.id}/gaps", headers=hub.as_user())
        (declared,) = answer.json()
        assert {name: declared[name] for name in gap} == gap
        assert (declared["epoch"], declared["seq"]) == ("e1", 91)
        assert declared["declared_at"] == pytest.approx(time.time(), abs=60)
        assert (await hub.core.devices.get(device.id)).events_dropped == 80
        assert (await hub.http.get("/api/v1/devices/none/gaps", headers=hub.as_user())).status_code == 404


@pytest.mark.asyncio
async def test_silence_is_told_also_by_a_hub_that_was_restarted_and_a_late_buffer_changes_no_past(
    folder: Path, mongo_url: str
) -> None:
    async with running_core(folder, mongo_url, heartbeat=0.2) as hub:
        device = await hub.enrol()
        await hub.post(TELEMETRY, log_batch([1]), device.headers)
        seen = (await hub.core.devices.get(device.id)).last_seen
        restarted = DeviceService(DeviceStore(hub.mongo.database), hub.core.live, Bus(), hub.settings)
        async with asyncio.timeout(20):
            while (await restarted.get(device.id)).status is not DeviceStatus.UNKNOWN:
                await asyncio.sleep(0.02)
        assert (await restarted.get(device.id)).last_seen == seen, "unknown since then"
        old = msgspec.structs.replace(
            log_batch([2]).events[0], at=Stamp(wall=time.time() - 3600, monotonic=1.0, boot_id="boot")
        )
        sent = Stamp(wall=time.time(), monotonic=3601.0, boot_id="boot")
        before = time.time()
        late = msgspec.structs.replace(log_batch([2]), events=[old], sent=sent)
        await hub.post(TELEMETRY, late, device.headers)
        device_now = await restarted.get(device.id)
        assert device_now.last_seen is not None
        assert device_now.last_seen >= before, "it called now, whatever it told of"
        answer = await hub.http.get(f"/api/v1/devices/{device.id}/events?limit=1000", headers=hub.as_user())
        happened = {event["seq"]: event["happened_at"] for event in answer.json()}
        assert happened[2] == pytest.approx(before - 3600, abs=30)
