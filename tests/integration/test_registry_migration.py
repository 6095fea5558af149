"""A registry as the hub before schema versions left it: this hub takes it over, and everything in it is still there."""

import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import pytest_asyncio

from flip_hub.apps.store import AppStore
from flip_hub.contributions.store import ContributionStore
from flip_hub.devices.store import DeviceStore
from flip_hub.enrolment.store import EnrolmentStore
from flip_hub.federation.store import RunStore
from flip_hub.intake.store import IntakeStore
from flip_hub.models.store import ModelStore
from flip_hub.mongo import Database, Document, Mongo
from flip_hub.registry.collections import COLLECTIONS
from flip_hub.registry.migrations import MIGRATIONS, version_of
from flip_hub.registry.schema import prepare_registry, schema_version
from flip_hub.settings import MongoSection
from flip_hub.users.store import UserStore
from flip_wire.fleet import DeviceId
from flip_wire.models import Sha256

NOW = 1_700_000_000.0
REPORTED: Document = {
    "generation": 3,
    "agent_version": "0.1.0",
    "training": "idle",
    "serving": [{"model": "digits", "version": 2, "since": NOW, "url": "http://127.0.0.1:8082"}],
    "failures": [],
    "held_because": "",
    "mode": "normal",
}
INTAKE: Document = {
    "epoch": "e1",
    "marks": {"LOG": 7},
    "health": -1,
    "state": 5,
    "earlier": {},
    "accepted": 8,
    "dropped": 0,
    "revision": 4,
}
MANIFEST: Document = {
    "model": "digits",
    "version": 2,
    "created_at": NOW,
    "run_id": "run-1",
    "round": 1,
    "format": 1,
    "weights": {"name": "weights.safetensors", "sha256": "c" * 64, "size": 10},
    "graph": None,
    "probe": None,
    "inputs": [],
    "outputs": [],
    "labels": [],
    "metrics": {"accuracy": 0.5},
}


def device(name: str, **other: object) -> Document:
    document = {"_id": f"dev-{name}", "name": name, "active_name": name, "fingerprint": f"print of {name}"}
    times = {"enrolled_at": NOW, "last_seen": NOW + 9, "agent_version": "0.1.0", "public_key": "PEM"}
    return {**document, **times, "reported": None, "health": None, "intake": INTAKE, **other}


def token(name: str, used_by: str | None) -> Document:
    expires = time.time() + 3600
    key = name * 64
    at = datetime.fromtimestamp(expires, UTC)
    return {"_id": key, "hash": key, "expires_at": expires, "used_by": used_by, "expires": at}


V1: dict[str, list[Document]] = {
    "users": [{"_id": "admin", "password_hash": "$argon2id$", "role": "admin", "created_at": NOW}],
    "devices": [
        device("one", reported=REPORTED, node_id="123"),
        device("two"),
        {**device("gone", reported=REPORTED), "revoked_at": NOW + 10, "active_name": "gone"},
    ],
    "fleet": [{"_id": "desired", "generation": 3, "models": [], "work": [{"run_id": "1"}]}],
    "enrolment_tokens": [token("a", None), token("b", "print of one"), token("c", None)],
    "apps": [
        {"_id": "d" * 64, "fab_hash": "d" * 64, "publisher": "p", "name": "n", "version": "1", "size": 3, "config": {}}
        | {"export": None, "uploaded_at": NOW, "signatures": []}
    ],
    "runs": [
        {"_id": "run-1", "id": "run-1", "flower_run_id": "1", "app": "n 1", "fab_hash": "d" * 64, "status": "finished"}
        | {"reason": "", "config": {"lr": 0.1}, "promote": "best", "metric": "accuracy", "strategy": "FedAvg"}
        | {"rounds": 1, "wants": None, "round": 1, "started_at": NOW, "finished_at": NOW + 1, "eta": None}
        | {"promoted_version": 2, "warning": ""}
    ],
    "rounds": [
        {"run_id": "run-1", "round": 1, "started_at": NOW, "finished_at": NOW + 1, "sampled": ["dev-one"]}
        | {"answered": ["dev-one"], "failures": [], "train_metrics": {}, "evaluate_metrics": {"a": 1.0}, "version": 2}
    ],
    "model_versions": [
        {"manifest_sha256": "b" * 64, "manifest": MANIFEST, "artifacts": ["b" * 64, "c" * 64], "signatures": {}}
    ],
    "promotions": [{"_id": "digits", "version": 2, "at": NOW}],
    "instructions": [
        {"_id": "m1", "message_id": "m1", "flower_run_id": "1", "round": 1, "phase": "train", "device_id": "dev-one"}
        | {"fate": "accepted", "reason": "", "at": datetime.now(UTC)}
    ],
}


@pytest_asyncio.fixture
async def database(mongo_url: str) -> AsyncGenerator[Database]:
    mongo = Mongo(MongoSection(url=mongo_url, database=f"test-{uuid4().hex[:12]}"))
    for name, documents in V1.items():
        await mongo.database[name].insert_many(documents)
    await mongo.database["devices"].create_index([("fingerprint", 1)], unique=True)
    await mongo.database["instructions"].create_index([("at", 1)], expireAfterSeconds=60)
    yield mongo.database
    await mongo.database.client.drop_database(mongo.database.name)
    mongo.close()


@pytest.mark.asyncio
async def test_everything_in_a_registry_of_the_schema_before_is_there_after_its_migration(database: Database) -> None:
    assert await schema_version(database) == 1
    await prepare_registry(database)
    assert await schema_version(database) == version_of(MIGRATIONS)
    for collection in COLLECTIONS:  # all of it is as this hub writes it: any of it may be updated
        if collection.schema is not None:
            wrong = database[collection.name].find({"$nor": [{"$jsonSchema": collection.schema}]})
            assert [document async for document in wrong] == [], collection.name

    user = await UserStore(database).get("admin")
    assert user is not None
    assert not user.disabled
    devices = DeviceStore(database)
    one = await devices.get(DeviceId("dev-one"))
    assert one is not None
    assert (one.intake.accepted, one.node_id) == (8, "123")
    assert len(await IntakeStore(database).records([DeviceId("dev-one"), DeviceId("dev-two")])) == 2
    run = await RunStore(database).run("run-1")
    assert run is not None
    assert run.promoted_version == 2
    assert len(await RunStore(database).rounds("run-1")) == 1
    assert await ModelStore(database).promoted("digits") == 2
    assert await AppStore(database).get(Sha256("d" * 64)) is not None
    instruction = await ContributionStore(database).instruction("m1")
    assert instruction is not None
    assert instruction.device_id == "dev-one"


@pytest.mark.asyncio
async def test_indexes_that_cost_more_than_they_found_are_gone(database: Database) -> None:
    await database["devices"].create_index("last_seen")
    await database["late"].create_index([("run_id", 1), ("contribution.kept_at", -1)])
    await prepare_registry(database)
    assert "last_seen_1" not in await database["devices"].index_information()
    names = {name for name in await database["late"].index_information() if name.startswith("run_id_1")}
    assert names == {"run_id_1_contribution.kept_at_-1__id_-1"}


@pytest.mark.asyncio
async def test_tokens_of_before_are_good_for_one_device_and_those_used_for_none(database: Database) -> None:
    await prepare_registry(database)
    store = EnrolmentStore(database)
    free, used = await store.get("a" * 64), await store.get("b" * 64)
    assert free is not None
    assert used is not None
    assert (free.left, free.keys, used.left, used.keys) == (1, [], 0, ["print of one"])
    assert free.id != used.id


@pytest.mark.asyncio
async def test_what_devices_said_they_serve_becomes_deployments_once(database: Database) -> None:
    for _ in range(2):
        await prepare_registry(database)
        await database["registry"].update_one({"_id": "schema"}, {"$set": {"version": 1}})  # as after a crash
    found = [document async for document in database["deployments"].find()]
    assert [(each["device_id"], each["model"], each["version"], each["since"]) for each in found] == [
        ("dev-one", "digits", 2, NOW)
    ]
