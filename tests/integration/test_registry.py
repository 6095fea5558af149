"""The registry is made what this hub declares: whoever made it before, and however many hubs start at once."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from pymongo.errors import WriteError

from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.store import DeviceStore
from flip_hub.mongo import Database, Mongo
from flip_hub.registry.collection import Collection, index, kept
from flip_hub.registry.collections import COLLECTIONS, HEALTH_KEPT, NONCES_KEPT
from flip_hub.registry.migrations import MIGRATIONS, Migration, version_of
from flip_hub.registry.schema import prepare_registry, schema_version
from flip_hub.registry.shape import fields
from flip_hub.settings import MongoSection
from flip_runtime.errors import ConfigError
from flip_wire.fleet import DeviceId

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def mongo(mongo_url: str) -> AsyncGenerator[Mongo]:
    mongo = Mongo(MongoSection(url=mongo_url, database=f"test-{uuid4().hex[:12]}"))
    yield mongo
    await mongo.database.client.drop_database(mongo.database.name)
    mongo.close()


async def made(database: Database) -> dict[str, Any]:
    """All that is declared of the registry, as the server has it."""
    found: dict[str, Any] = {each["name"]: each.get("options") async for each in await database.list_collections()}
    for collection in COLLECTIONS:
        found[f"{collection.name} indexes"] = [each async for each in database[collection.name].list_indexes()]
    return found


async def test_an_empty_registry_gets_every_collection_validator_and_index_and_keeps_them(mongo: Mongo) -> None:
    database = mongo.database
    await mongo.prepare(prepare_registry)
    assert await schema_version(database) == version_of(MIGRATIONS)
    first = await made(database)
    for collection in COLLECTIONS:
        assert collection.name in first
        names = {each["name"] async for each in database[collection.name].list_indexes()}
        assert {each.name for each in collection.indexes} <= names
    nonces = await database["device_nonces"].index_information()
    assert nonces["at_1"]["expireAfterSeconds"] == NONCES_KEPT
    health = first["health"]
    assert (health["timeseries"]["metaField"], health["expireAfterSeconds"]) == ("device", HEALTH_KEPT)

    await prepare_registry(database)
    assert await made(database) == first


async def test_a_field_of_the_wrong_type_is_refused_by_the_server_whoever_writes_it(mongo: Mongo) -> None:
    await mongo.prepare(prepare_registry)
    record = DeviceRecord(
        id=DeviceId("dev-1"), name="box", public_key="PEM", fingerprint="f", enrolled_at=1.0, agent_version="1"
    )
    await DeviceStore(mongo.database).add(record)
    devices, runs = mongo.database["devices"], mongo.database["runs"]
    for wrong in ({"name": {"$ne": ""}}, {"last_seen": "now"}, {"intake": 1}, {"fingerprint": None}):
        with pytest.raises(WriteError) as refused:
            await devices.update_one({"_id": "dev-1"}, [{"$set": {key: {"$literal": wrong[key]} for key in wrong}}])
        assert refused.value.code == 121
    with pytest.raises(WriteError):
        await runs.insert_one({"_id": "run-1", "app": "only that"})
    kept = await DeviceStore(mongo.database).get(DeviceId("dev-1"))
    assert kept == record


async def test_of_hubs_that_start_at_once_one_migrates_and_the_others_wait_for_it(mongo: Mongo) -> None:
    database = mongo.database
    await database["things"].insert_one({"_id": "old", "size": "12"})

    async def numbers(database: Database) -> None:
        await database["taken"].insert_one({"at": datetime.now(UTC)})
        await asyncio.sleep(0.3)  # the others are at the lock meanwhile
        await database["things"].update_many({}, [{"$set": {"size": {"$toInt": "$size"}}}])

    things = Collection(name="things", schema=fields(_id="string", size="int"), indexes=(index("size"),))
    migrations = (Migration(to=2, why="sizes become numbers", step=numbers),)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(prepare_registry(database, [things], migrations))
    assert await database["taken"].count_documents({}) == 1
    assert await database["things"].find_one() == {"_id": "old", "size": 12}
    assert await schema_version(database) == 2
    assert await database["registry"].find_one({"_id": "lock"}) is None


async def test_a_migration_that_was_cut_off_is_taken_again_once_the_lock_of_the_dead_hub_has_run_out(
    mongo: Mongo,
) -> None:
    database, taken = mongo.database, 0

    async def fails_once(_: Database) -> None:
        nonlocal taken
        taken += 1
        if taken == 1:
            raise ConfigError("the power is gone")

    migrations = (Migration(to=2, why="a test", step=fails_once),)
    await database["things"].insert_one({"_id": "old"})
    with pytest.raises(ConfigError):
        await prepare_registry(database, [], migrations)
    assert await schema_version(database) == 1
    until = datetime.now(UTC) + timedelta(seconds=0.5)
    await database["registry"].insert_one({"_id": "lock", "holder": "a dead hub", "until": until})
    async with asyncio.timeout(60):
        await prepare_registry(database, [], migrations)
    assert datetime.now(UTC) >= until
    assert (taken, await schema_version(database)) == (2, 2)


async def test_a_hub_does_not_run_on_a_registry_that_a_newer_one_has_made(mongo: Mongo) -> None:
    database, newer = mongo.database, version_of(MIGRATIONS) + 1
    await database["registry"].insert_one({"_id": "schema", "version": newer})
    with pytest.raises(ConfigError, match=f"schema version {newer}.*upgrade this hub"):
        await mongo.prepare(prepare_registry)
    assert not mongo.prepared.is_set()
    assert await database.list_collection_names() == ["registry"]


async def test_what_is_declared_in_another_way_than_before_is_changed_and_an_operators_index_stays(
    mongo: Mongo,
) -> None:
    database = mongo.database
    before = Collection(name="things", schema=fields(at="date"), indexes=(kept("at", 60), index("name")))
    await prepare_registry(database, [before], ())
    await database["things"].create_index("mine")
    after = Collection(
        name="things", schema=fields(at="date", name="string"), indexes=(kept("at", 90), index("name", unique=True))
    )
    await prepare_registry(database, [after], ())
    indexes = await database["things"].index_information()
    assert indexes["at_1"]["expireAfterSeconds"] == 90
    assert indexes["name_1"]["unique"]
    assert "mine_1" in indexes
    with pytest.raises(WriteError):
        await database["things"].insert_one({"at": datetime.now(UTC)})


async def test_documents_that_stand_against_a_unique_index_are_named(mongo: Mongo) -> None:
    database = mongo.database
    await database["things"].insert_many([{"name": "one"}, {"name": "one"}])
    things = Collection(name="things", schema=fields(name="string"), indexes=(index("name", unique=True),))
    with pytest.raises(ConfigError, match=r"two documents of things stand where one may be: .*one"):
        await prepare_registry(database, [things], ())
    assert await database["registry"].find_one({"_id": "lock"}) is None
