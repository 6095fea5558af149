"""Ingest: counted once with two hubs and with a crash between any two writes; what is odd is refused or harmless."""

import asyncio
import itertools
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from core_hub import CoreHub, TestDevice, log_batch, problem, running_core
from flip_demo.mongod import mongod_command
from flip_demo.ports import free_port
from flip_hub.core import build_core
from flip_hub.deployments.store import DeploymentStore
from flip_hub.intake.delivery import Delivery
from flip_hub.intake.store import IntakeStore
from flip_hub.mongo import DatabaseDown, Mongo
from flip_hub.settings import ClusterSection
from flip_hub.telemetry.batch import CheckedBatch, read_batch
from flip_hub.telemetry.hub_time import HubTime
from flip_hub.telemetry.ingest import Ingest
from flip_hub.telemetry.store import EventStore, GapStore, SpanStore
from flip_hub.vitals.store import HealthStore
from flip_runtime.child import Child, port_open
from flip_wire.fleet import DeviceId
from flip_wire.telemetry import Batch, Priority, Stamp

TELEMETRY = "/api/v1/device/telemetry"
HEALTH = {
    "uptime": 5.0,
    "rss": 2**25,
    "load": 0.1,
    "disk_free": 2**20,
    "outbox_depth": 3,
    "outbox_oldest": None,
    "dropped": 0,
}


def health_batch(seqs: Sequence[int], **more: str) -> Batch:
    return replace(log_batch(seqs, kind="health", body=HEALTH, **more), priority=Priority.HEALTH)


def checked(batch: Batch) -> CheckedBatch:
    return read_batch(msgspec.json.encode(batch), "")


def delivery(device_id: DeviceId, batch: Batch) -> Delivery:
    times = HubTime(batch, time.time(), {})
    return Delivery(device_id=device_id, checked=checked(batch), times=times, call=None)


async def samples(hub: CoreHub, device_id: DeviceId) -> int:
    path = f"/api/v1/devices/{device_id}/health?step=3600"
    answer = await hub.http.get(path, headers=hub.as_user())
    assert answer.status_code == 200, answer.text
    return sum(point["samples"] for point in answer.json())


async def send(hub: CoreHub, device: TestDevice, batch: Batch) -> int:
    return (await hub.post(TELEMETRY, batch, device.headers)).status_code


@pytest.mark.asyncio
@pytest.mark.parametrize("alone", [True, False])
async def test_a_crash_between_any_two_writes_neither_loses_nor_doubles(
    folder: Path, mongo_url: str, alone: bool
) -> None:
    async with running_core(folder, mongo_url) as hub:
        device, database = await hub.enrol(), hub.mongo.database
        events, gaps, health, accounts = (
            EventStore(database),
            GapStore(database),
            HealthStore(database),
            IntakeStore(database, alone=alone),
        )
        others = SpanStore(database), health, accounts, DeploymentStore(database), hub.core.devices
        ingest, sent = Ingest(events, gaps, *others), 0
        writes = [(events, "insert"), (gaps, "insert"), (health, "save"), (accounts, "write")]
        for (store, name), after in itertools.product(writes, (False, True)):
            logs = replace(log_batch(range(sent + 6, sent + 8)), priority=Priority.HEALTH)
            reports = health_batch(range(sent, sent + 6))
            batch = replace(reports, events=[*reports.events, *logs.events])
            with pytest.MonkeyPatch.context() as cut:
                cut.setattr(store, name, _cut_off(getattr(store, name), after=after))
                with pytest.raises((DatabaseDown, ExceptionGroup)):
                    await ingest.write([delivery(device.id, batch)])
            assert await ingest.write([delivery(device.id, batch)]) == [None]
            sent += 8
        assert (await hub.core.devices.get(device.id)).events_accepted == sent
        assert await samples(hub, device.id) == sent * 6 // 8
        listed = await hub.http.get(f"/api/v1/devices/{device.id}/events?limit=1000", headers=hub.as_user())
        assert len(listed.json()) == sent * 2 // 8


def _cut_off(write: Callable[..., Awaitable[object]], *, after: bool) -> Callable[..., Awaitable[object]]:
    async def cut(*arguments: object) -> object:
        if after:
            await write(*arguments)
        raise DatabaseDown("the hub was killed")

    return cut


@pytest.mark.asyncio
async def test_two_hubs_that_get_the_same_batches_count_each_once(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url, cluster="one") as hub:
        devices = [await hub.enrol(f"box-{number}") for number in range(4)]
        mongo = Mongo(hub.settings.mongo)
        other = build_core(replace(hub.settings, cluster=ClusterSection(name="other")), mongo.database)
        taking = asyncio.create_task(other.telemetry.run())
        try:
            for first in range(0, 60, 6):
                batches = [health_batch(range(first, first + 6)), log_batch(range(first, first + 6))]
                everything = itertools.product((hub.core, other), devices, batches)
                taken = [core.telemetry.accept(device.id, checked(batch)) for core, device, batch in everything]
                await asyncio.gather(*taken)
        finally:
            taking.cancel()
            await asyncio.wait([taking])
            mongo.close()
        for device in devices:
            assert (await hub.core.devices.get(device.id)).events_accepted == 120
            assert await samples(hub, device.id) == 60


@pytest.mark.asyncio
async def test_numbers_that_go_back_and_epochs_of_others_harm_nobody(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        one, other = await hub.enrol("one"), await hub.enrol("other")
        assert await send(hub, one, health_batch(range(10))) == 200
        assert await send(hub, one, health_batch([5, 3, 3, 0])) == 200, "a device that is confused is told what it has"
        assert await send(hub, other, health_batch([2**62])) == 200
        assert await send(hub, other, health_batch(range(3), epoch="e1")) == 200, "one's own epoch"
        assert await send(hub, one, health_batch(range(10, 12))) == 200
        found = [await hub.core.devices.get(device.id) for device in (one, other)]
        assert [device.events_accepted for device in found] == [12, 1]
        assert [await samples(hub, device.id) for device in found] == [12, 1]


@pytest.mark.asyncio
async def test_a_device_speaks_for_itself_alone(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        one, other = await hub.enrol("one"), await hub.enrol("other")
        forged = TestDevice(one.key, other.id, one.token)
        assert await send(hub, forged, log_batch(range(3))) == 200
        assert (await hub.core.devices.get(other.id)).events_accepted == 0
        problem(await hub.post(TELEMETRY, log_batch([1]), {"Authorization": "Bearer nonsense"}), 401)
        problem(await hub.post(TELEMETRY, log_batch([1])), 401)
        await hub.core.devices.revoke(one.id)
        problem(await hub.post(TELEMETRY, log_batch([9]), one.headers), 403)
        assert (await hub.core.devices.get(one.id)).events_accepted == 3


@pytest.mark.asyncio
async def test_absurd_times_and_figures_are_kept_within_bounds(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        stamps = [
            Stamp(wall=wall, monotonic=monotonic, boot_id="boot")
            for wall, monotonic in [(1e308, -1e308), (-1e308, 1e308), (0.0, 0.0), (4e18, 4e18)]
        ]
        body = HEALTH | {"rss": 2**62, "load": 1e308, "uptime": -1e308}
        batch = replace(log_batch(range(4), kind="health", body=body), priority=Priority.HEALTH)
        events = [replace(event, at=at) for event, at in zip(batch.events, stamps, strict=True)]
        now = Stamp(wall=time.time(), monotonic=10.0, boot_id="boot")
        assert await send(hub, device, replace(batch, events=events, sent=now)) == 200
        path = f"/api/v1/devices/{device.id}/health?step=2678400&since=0"
        answer = await hub.http.get(f"{path}&until=1000", headers=hub.as_user())
        assert answer.status_code == 200
        recent = await hub.http.get(f"/api/v1/devices/{device.id}/health", headers=hub.as_user())
        assert all(abs(point["load"]) <= 1e15 for point in recent.json())
        assert await samples(hub, device.id) >= 1


@pytest.mark.asyncio
async def test_a_device_that_sends_too_often_is_told_when_to_come_again(folder: Path, mongo_url: str) -> None:
    most = 5
    async with running_core(folder, mongo_url, batches=most) as hub:
        noisy, quiet = await hub.enrol("noisy"), await hub.enrol("quiet")
        assert await send(hub, noisy, log_batch([0])) == 200
        flood = await asyncio.gather(*(hub.post(TELEMETRY, log_batch([0]), noisy.headers) for _ in range(200)))
        assert len([answer for answer in flood if answer.status_code == 200]) >= most - 1
        refused = [answer for answer in flood if answer.status_code != 200]
        assert refused
        problem(refused[0], 429)
        assert int(refused[0].headers["Retry-After"]) >= 1
        assert await send(hub, quiet, log_batch([0])) == 200


@pytest.mark.asyncio
async def test_without_its_registry_the_hub_says_when_to_come_again_and_nothing_acknowledged_is_lost(
    folder: Path,
) -> None:
    port = free_port()
    mongod = Child("mongod", mongod_command(port, folder / "data"), log_file=folder / "mongod.log")
    await mongod.start()
    await mongod.wait_until(lambda: port_open(port), within=60)
    try:
        async with running_core(folder, f"mongodb://127.0.0.1:{port}") as hub:
            device = await hub.enrol()
            acknowledged = 0

            async def deliver() -> None:
                """As an agent does: the same batch until the hub has it."""
                nonlocal acknowledged
                for first in range(0, 200, 4):
                    while await send(hub, device, health_batch(range(first, first + 4))) != 200:
                        await asyncio.sleep(0.1)
                    acknowledged = first + 4

            delivering = asyncio.create_task(deliver())
            async with asyncio.timeout(60):
                while acknowledged < 40:
                    await asyncio.sleep(0.01)
            mongod.send_signal(signal.SIGKILL)
            await mongod.wait()
            answer = await hub.post(TELEMETRY, log_batch([1]), device.headers)
            problem(answer, 503)
            assert int(answer.headers["Retry-After"]) >= 1
            await mongod.start()
            async with asyncio.timeout(100):
                await delivering
            assert (await hub.core.devices.get(device.id)).events_accepted == 200
            assert await samples(hub, device.id) == 200
    finally:
        await mongod.stop()
