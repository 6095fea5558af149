"""Telemetry: each event once, counted once, and what is malformed is named."""

import asyncio
from pathlib import Path

import httpx
import msgspec
import pytest
import zstandard

from core_hub import CoreHub, TestDevice, log_batch, problem, running_core
from flip_hub.telemetry.batch import MAX_PLAIN, MAX_SENT

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
