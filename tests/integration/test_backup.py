"""A backup is taken while the hub works, and a hub starts on what is restored from it: the drill, and what fails."""

import asyncio
import dataclasses
import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import msgspec
import pytest
import pytest_asyncio

from core_hub import CoreHub, log_batch, running_core
from flip_demo.mongod import mongod_command
from flip_demo.ports import free_port
from flip_hub.app import create_app
from flip_hub.artifacts.place import artifacts_in
from flip_hub.audit.inspection import inspect_audit
from flip_hub.backup.restoring import restore_backup
from flip_hub.backup.store import BackupStore
from flip_hub.backup.taking import Taken, take_backup
from flip_hub.cli import main
from flip_hub.core import ROUTES, build_core
from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.store import DeviceStore
from flip_hub.health import Health
from flip_hub.models.store import ModelStore
from flip_hub.mongo import Database, Mongo
from flip_hub.registry.collections import COLLECTIONS
from flip_hub.registry.migrations import MIGRATIONS, version_of
from flip_hub.registry.schema import begin_restore, prepare_registry, schema_version
from flip_hub.settings import MongoSection, Settings
from flip_runtime.child import Child, port_open
from flip_runtime.errors import ConfigError, Corrupt, Rejected
from flip_wire.fleet import DeviceId
from flip_wire.models import FileRef, Manifest, encode_manifest

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclasses.dataclass(frozen=True)
class Filled:
    hub: CoreHub
    folder: Path
    file: Path
    taken: Taken
    before: list[str]
    """Ids of the devices that were there when the backup began."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(mongo_url: str) -> AsyncGenerator[Filled]:
    """A hub with devices, telemetry and a model, backed up while more devices were enrolled and noted."""
    with TemporaryDirectory(prefix="flip-") as name:
        folder = Path(name)
        async with running_core(folder, mongo_url) as hub:
            devices = [await hub.enrol(f"box-{number}") for number in range(3)]
            for device in devices:
                batch = log_batch(range(1, 101))
                assert (await hub.post("/api/v1/device/telemetry", batch, device.headers)).is_success
            await add_model(hub)
            writing = asyncio.create_task(keep_writing(hub))
            file, began = folder / "registry.backup", await some_are_there(hub, more_than=20)
            taken = await take_backup(hub.settings, hub.mongo.database, file, with_artifacts=True, by="local:0")
            await some_are_there(hub, more_than=began)
            writing.cancel()
            await asyncio.wait([writing])
            yield Filled(hub, folder, file, taken, [device.id for device in devices])


async def add_model(hub: CoreHub) -> None:
    place = artifacts_in(hub.settings, "artifacts")
    place.create()
    weights = FileRef(
        name="weights.safetensors", sha256=await place.put(secrets.token_bytes(3_000_000)), size=3_000_000
    )
    manifest = Manifest(model="digits", version=1, created_at=1.0, weights=weights)
    await ModelStore(hub.mongo.database).add(manifest, await place.put(encode_manifest(manifest)), {})
    await ModelStore(hub.mongo.database).promote("digits", 1)


async def keep_writing(hub: CoreHub) -> None:
    """What people and devices do meanwhile: one joins, the audit says so, one is revoked, its name is another's."""
    store, number = DeviceStore(hub.mongo.database), 0
    while True:
        number += 1
        await store.add(record(f"dev-{number:012}", "the same name", f"print {number}"))
        await hub.core.audit.note("enrol", actor="", subject=f"dev-{number:012}")
        await store.revoke(DeviceId(f"dev-{number:012}"), 2.0)


async def some_are_there(hub: CoreHub, more_than: int) -> int:
    """How many devices, once there are so many."""
    async with asyncio.timeout(60):
        while (count := await hub.mongo.database["devices"].count_documents({})) <= more_than:
            await asyncio.sleep(0.01)
    return count


def record(device_id: str, name: str, fingerprint: str) -> DeviceRecord:
    return DeviceRecord(
        id=DeviceId(device_id),
        name=name,
        public_key="PEM",
        fingerprint=fingerprint,
        enrolled_at=1.0,
        agent_version="1",
    )


@pytest.fixture(scope="module")
def other_mongo() -> Iterator[str]:
    """Another machine's."""
    with TemporaryDirectory(prefix="flip-") as name, asyncio.Runner() as runner:
        port = free_port()
        mongod = Child("mongod", mongod_command(port, Path(name) / "data"), log_file=Path(name) / "log")
        runner.run(mongod.start())
        try:
            runner.run(mongod.wait_until(lambda: port_open(port), within=60))
            yield f"mongodb://127.0.0.1:{port}"
        finally:
            runner.run(mongod.stop())


@asynccontextmanager
async def registry(settings: Settings, url: str, name: str) -> AsyncGenerator[tuple[Settings, Database]]:
    elsewhere = msgspec.structs.replace(settings, mongo=MongoSection(url=url, database=name))
    mongo = Mongo(elsewhere.mongo)
    try:
        yield elsewhere, mongo.database
    finally:
        await mongo.database.client.drop_database(name)
        mongo.close()


async def test_a_hub_starts_on_what_was_restored_into_an_empty_mongod(filled: Filled, other_mongo: str) -> None:
    settings = filled.hub.settings
    async with registry(settings, other_mongo, "drill") as (elsewhere, database):
        assert await database.list_collection_names() == []
        restored = await restore_backup(elsewhere, database, filled.file, replace=False, by="local:0")
        assert (restored.missing, restored.broken) == ([], None)
        assert restored.end == filled.taken.end
        assert await schema_version(database) == version_of(MIGRATIONS)
        assert (await inspect_audit(elsewhere)).broken is None
        assert await ModelStore(database).promoted("digits") == 1
        assert await database["events"].count_documents({}) == 300

        ids = {each.id async for each in devices_of(database)}
        assert ids >= set(filled.before)
        joined = [each["subject"] async for each in database["audit"].find({"action": "enrol"})]
        assert joined
        assert set(joined) <= ids, "whatever the audit says was done is there"
        for collection in COLLECTIONS:
            names = set(await database[collection.name].index_information())
            assert {index.name for index in collection.indexes} <= names
        users = (await database.command("listCollections", filter={"name": "users"}))["cursor"]["firstBatch"][0]
        assert "$jsonSchema" in users["options"]["validator"]
        async with started(elsewhere) as http:
            shown = await http.get("/api/v1/devices", headers=filled.hub.as_user())
            assert shown.status_code == 401, "sessions are not in the registry: people log in again"


async def devices_of(database: Database) -> AsyncGenerator[DeviceRecord]:
    for each in await DeviceStore(database).all():
        yield each


@asynccontextmanager
async def started(settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    mongo = Mongo(settings.mongo)
    core = build_core(settings, mongo.database)
    health = Health({"mongo": mongo.missing})
    app = create_app(ROUTES, {**core.services, "health": health}, access=core.access, prepared=mongo.prepared)
    try:
        await mongo.prepare(prepare_registry)
        transport = httpx.ASGITransport(app)  # pyright: ignore[reportArgumentType]
        async with httpx.AsyncClient(transport=transport, base_url="http://hub") as http:
            assert (await http.get("/health/ready")).json()["ready"]
            yield http
    finally:
        mongo.close()


async def test_what_changed_while_the_copy_was_made_takes_its_place_from_what_was_before(
    filled: Filled, other_mongo: str
) -> None:
    """A name that was free again when the second device was copied, and not yet when the first was."""
    async with registry(filled.hub.settings, other_mongo, "places") as (_, database):
        await database["devices"].insert_many(
            [{"_id": "dev-1", "active_name": "box"}, {"_id": "dev-2", "active_name": "box"}, {"_id": "dev-3"}]
        )
        devices = next(each for each in COLLECTIONS if each.name == "devices")
        devices = msgspec.structs.replace(devices, indexes=devices.indexes[:1])
        assert await BackupStore(database).supersede(devices) == 1
        found = [each async for each in database["devices"].find()]
        assert found == [{"_id": "dev-1"}, {"_id": "dev-2", "active_name": "box"}, {"_id": "dev-3"}]


async def test_a_registry_that_is_not_empty_is_replaced_only_when_that_is_said(
    filled: Filled, other_mongo: str
) -> None:
    async with registry(filled.hub.settings, other_mongo, "full") as (elsewhere, database):
        await prepare_registry(database)
        await DeviceStore(database).add(record("dev-old", "old", "old"))
        with pytest.raises(Rejected, match=r"not empty.*--replace"):
            await restore_backup(elsewhere, database, filled.file, replace=False, by="local:0")
        assert [each.id async for each in devices_of(database)] == ["dev-old"]
        await restore_backup(elsewhere, database, filled.file, replace=True, by="local:0")
        assert await DeviceStore(database).get(DeviceId("dev-old")) is None


@pytest.mark.parametrize("damage", ["cut", "bit", "other", "tail"])
async def test_a_damaged_file_is_refused_before_anything_is_written(
    filled: Filled, other_mongo: str, damage: str
) -> None:
    content = bytearray(filled.file.read_bytes())
    match damage:
        case "cut":
            del content[len(content) - 100 :]
        case "bit":
            content[len(content) // 2] ^= 1
        case "tail":
            content += b"more"
        case _:
            content = bytearray(b"no backup at all")
    damaged = filled.folder / f"{damage}.backup"
    damaged.write_bytes(content)
    async with registry(filled.hub.settings, other_mongo, "damaged") as (elsewhere, database):
        with pytest.raises(Corrupt, match="damaged"):
            await restore_backup(elsewhere, database, damaged, replace=True, by="local:0")
        assert await database.list_collection_names() == []


async def test_a_backup_of_a_newer_hub_is_refused(filled: Filled, other_mongo: str) -> None:
    newer, database = filled.folder / "newer.backup", filled.hub.mongo.database
    version = version_of(MIGRATIONS)
    await database["registry"].update_one({"_id": "schema"}, {"$set": {"version": version + 1}})
    await take_backup(filled.hub.settings, database, newer, with_artifacts=False, by="local:0")
    await database["registry"].update_one({"_id": "schema"}, {"$set": {"version": version}})
    async with registry(filled.hub.settings, other_mongo, "newer") as (elsewhere, empty):
        with pytest.raises(ConfigError, match=f"schema version {version + 1}, this hub knows {version}"):
            await restore_backup(elsewhere, empty, newer, replace=True, by="local:0")


async def test_no_hub_runs_on_a_registry_whose_restore_was_cut_off(filled: Filled, other_mongo: str) -> None:
    async with registry(filled.hub.settings, other_mongo, "half") as (elsewhere, database):
        await begin_restore(database, version_of(MIGRATIONS))
        await database["devices"].insert_one({"_id": "dev-half"})
        with pytest.raises(ConfigError, match="restore of the registry was cut off"):
            await prepare_registry(database)
        await restore_backup(elsewhere, database, filled.file, replace=True, by="local:0")
        await prepare_registry(database)


async def test_artifacts_come_along_where_that_was_said_and_are_missed_where_not(
    filled: Filled, other_mongo: str, folder: Path
) -> None:
    settings = filled.hub.settings
    without = filled.folder / "without.backup"
    await take_backup(settings, filled.hub.mongo.database, without, with_artifacts=False, by="local:0")
    assert without.stat().st_size < filled.file.stat().st_size
    artifacts = msgspec.structs.replace(settings.artifacts, folder=folder)
    async with registry(msgspec.structs.replace(settings, artifacts=artifacts), other_mongo, "files") as (
        elsewhere,
        database,
    ):
        restored = await restore_backup(elsewhere, database, without, replace=True, by="local:0")
        assert len(restored.missing) == 2
        restored = await restore_backup(elsewhere, database, filled.file, replace=True, by="local:0")
        assert restored.missing == []
        place = artifacts_in(elsewhere, "artifacts")
        for sha256 in await place.all():
            await place.verify(sha256)


async def test_the_audit_says_how_much_of_it_a_restore_took_away(filled: Filled) -> None:
    async with registry(filled.hub.settings, filled.hub.settings.mongo.url, "shorter") as (elsewhere, database):
        await restore_backup(elsewhere, database, filled.file, replace=True, by="local:0")
        newest = await database["audit"].find_one(sort=[("_id", -1)])
        assert newest is not None
        assert (newest["action"], newest["subject"]) == ("restore", "registry.backup")


async def test_the_command_takes_a_backup_that_only_its_owner_reads(
    filled: Filled, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, file = filled.hub.settings, filled.folder / "by-command.backup"
    monkeypatch.setenv("FLIP_HUB__STATE", str(settings.hub.state))
    monkeypatch.setenv("FLIP_MONGO__URL", settings.mongo.url)
    monkeypatch.setenv("FLIP_MONGO__DATABASE", settings.mongo.database)
    await asyncio.to_thread(main, ["backup", str(file)])
    assert file.stat().st_mode & 0o777 == 0o600
    assert "the hub's keys are not" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        await asyncio.to_thread(main, ["restore", str(file)])
    assert "the hub is running" in capsys.readouterr().err
