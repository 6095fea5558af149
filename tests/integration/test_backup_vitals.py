"""Devices' health over time, a time series, comes through backup and restore whole, and stays a time series."""

import time
from pathlib import Path

import msgspec
import pytest

from core_hub import log_batch, running_core
from flip_hub.backup.restoring import restore_backup
from flip_hub.backup.taking import take_backup
from flip_hub.mongo import Database, Document, Mongo
from flip_hub.registry.schema import prepare_registry
from flip_hub.settings import MongoSection
from flip_hub.vitals.store import SAVED_AT_ONCE, HealthStore
from flip_wire.fleet import DeviceId
from flip_wire.telemetry import Priority

REPORTS = 2 * SAVED_AT_ONCE + 3
"""Of each device: some are in the time series, the latest with the device's record."""
_HEALTH = {
    "uptime": 5.0, "rss": 100, "load": 0.5, "disk_free": 50, "outbox_depth": 0, "outbox_oldest": None, "dropped": 0,
}  # fmt: skip


@pytest.mark.asyncio
async def test_the_history_of_devices_is_the_same_after_a_restore(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        devices = [await hub.enrol(f"box-{number}") for number in range(2)]
        for device in devices:
            for seq in range(REPORTS):
                batch = log_batch([seq], kind="health", body=_HEALTH | {"load": seq / 10})
                sent = msgspec.structs.replace(batch, priority=Priority.HEALTH)
                assert (await hub.post("/api/v1/device/telemetry", sent, device.headers)).status_code == 200
        original = hub.mongo.database
        assert await original["health"].count_documents({}) >= 2 * SAVED_AT_ONCE, "some are in the series already"
        file = folder / "registry.backup"
        await take_backup(hub.settings, original, file, with_artifacts=False, by="local:0")
        elsewhere = msgspec.structs.replace(
            hub.settings, mongo=MongoSection(url=mongo_url, database=f"{original.name}_restored")
        )
        mongo = Mongo(elsewhere.mongo)
        try:
            await restore_backup(elsewhere, mongo.database, file, replace=False, by="local:0")
            await prepare_registry(mongo.database)  # as a hub does that starts on it
            assert await _series(mongo.database) == await _series(original)
            for device in devices:
                before, after = [await _history(database, device.id) for database in (original, mongo.database)]
                assert sum(samples for samples, _ in before) == REPORTS
                assert after == before
        finally:
            await mongo.database.client.drop_database(mongo.database.name)
            mongo.close()


async def _series(database: Database) -> Document:
    """What the collection is declared as."""
    told = await database.command("listCollections", filter={"name": "health"})
    (found,) = told["cursor"]["firstBatch"]
    assert found["type"] == "timeseries"
    return found["options"]


async def _history(database: Database, device_id: DeviceId) -> list[tuple[int, float]]:
    points = await HealthStore(database).points(device_id, 0.0, time.time() + 3600, 3600.0)
    return [(point.samples, point.load_max) for point in points]
