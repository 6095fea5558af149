"""The audit's chain in a real MongoDB: whole with several hubs writing, and every damage to it is found and placed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from litestar.types import Receive, Scope, Send
from msgspec.structs import replace

from flip_demo.mongod import mongod_command
from flip_demo.ports import free_port
from flip_hub.audit.calls import AuditedCalls
from flip_hub.audit.entry import Entry, Link, Note, chained, link
from flip_hub.audit.head import HeadFile
from flip_hub.audit.service import Audit
from flip_hub.audit.store import AuditStore, entry_of
from flip_hub.audit.verification import Broken, verify_chain
from flip_hub.mongo import Database, DatabaseDown, Mongo
from flip_hub.registry.schema import prepare_registry
from flip_hub.settings import MongoSection
from flip_runtime.child import Child, port_open

pytestmark = pytest.mark.asyncio

SECRET = b"a secret of this test"


def audit_of(database: Database, folder: Path) -> Audit:
    return Audit(AuditStore(database), HeadFile(folder, SECRET))


async def verify(database: Database, head: Link | None = None) -> Broken | None:
    return (await verify_chain(AuditStore(database), head)).broken


async def ten_entries(database: Database, folder: Path) -> Link:
    audit = audit_of(database, folder)
    for number in range(1, 11):
        await audit.note("device.revoke", actor="ada", subject=f"dev-{number}")
    return await AuditStore(database).end()


async def test_entries_of_hubs_that_write_at_once_are_one_chain_without_a_gap(database: Database, folder: Path) -> None:
    hubs = [audit_of(database, folder) for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        for number in range(60):
            group.create_task(hubs[number % 3].note("run.start", actor=f"user-{number}"))
    assert await verify(database) is None
    assert (await AuditStore(database).end()).seq == 60
    actors = {document["actor"] async for document in AuditStore(database).documents()}
    assert actors == {f"user-{number}" for number in range(60)}


Damage = Callable[[Database], Awaitable[object]]


async def change(database: Database) -> object:
    return await database["audit"].update_one({"_id": 4}, {"$set": {"actor": "somebody else"}})


async def change_with_its_hash(database: Database) -> object:
    return await write_anew(database, 4, 4)


async def write_all_anew(database: Database) -> object:
    return await write_anew(database, 4, 10)


async def remove(database: Database) -> object:
    return await database["audit"].delete_many({"_id": {"$in": [4, 5]}})


async def cut_off(database: Database) -> object:
    return await database["audit"].delete_many({"_id": {"$gte": 9}})


async def empty(database: Database) -> object:
    return await database["audit"].delete_many({})


async def put_between(database: Database) -> object:
    document = await database["audit"].find_one({"_id": 4})
    return await database["audit"].insert_one({**(document or {}), "_id": 4.5})


async def put_at_the_end(database: Database) -> object:
    document = await database["audit"].find_one({"_id": 4})
    return await database["audit"].insert_one({**(document or {}), "_id": "4"})


async def make_it_no_entry(database: Database) -> object:
    await database["audit"].delete_one({"_id": 4})
    return await database["audit"].insert_one({"_id": 4})


async def renumber(database: Database) -> object:
    """Takes one out, and moves up those after it, each with a right hash."""
    found = [entry_of(document) async for document in database["audit"].find().sort("_id")]
    kept = [found[place] for place in range(10) if place != 3]
    await database["audit"].delete_many({})
    return await AuditStore(database).append(chained(Link(), [note_of(entry) for entry in kept]))


async def write_anew(database: Database, first: int, last: int) -> object:
    """With another actor in the first."""
    found = [entry_of(document) async for document in database["audit"].find().sort("_id")]
    notes = [note_of(entry, actor="nobody" if entry.seq == first else entry.actor) for entry in found[first - 1 : last]]
    forged = chained(link(found[first - 2]), notes)
    await database["audit"].delete_many({"_id": {"$gte": first, "$lte": last}})
    return await AuditStore(database).append(forged)


def note_of(entry: Entry, actor: str = "") -> Note:
    said: dict[str, Any] = {name: getattr(entry, name) for name in Note.__struct_fields__}
    note = Note(**said)
    return replace(note, actor=actor) if actor else note


@pytest.mark.parametrize(
    ("damage", "seq", "says"),
    [
        (change, 4, "entry 4 was changed"),
        (change_with_its_hash, 5, "entry 5 does not follow entry 4"),
        (write_all_anew, 10, "written anew"),
        (remove, 4, "entries 4 to 5 were removed"),
        (cut_off, 9, "entries 9 to 10 were removed from the end"),
        (empty, 1, "entries 1 to 10 were removed from the end"),
        (put_between, 5, "an entry 4.5 that the hub has not written"),
        (put_at_the_end, 11, "an entry '4' that the hub has not written"),
        (make_it_no_entry, 4, "entry 4 was changed"),
        (renumber, 10, "entry 10 was removed from the end"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_each_damage_is_found_at_its_first_entry(
    database: Database, folder: Path, damage: Damage, seq: int, says: str
) -> None:
    head = await ten_entries(database, folder)
    assert await verify(database, head) is None
    await database.command("collMod", "audit", validationLevel="off")
    await damage(database)
    broken = await verify(database, head)
    assert broken is not None
    assert broken.seq == seq
    assert says in broken.what


async def test_the_head_beside_the_registry_follows_the_chain_and_belongs_to_this_hub(
    database: Database, folder: Path
) -> None:
    audit = audit_of(database, folder)
    await audit.note("run.start", actor="ada")
    running = asyncio.create_task(audit.run())
    try:
        async with asyncio.timeout(30):
            while HeadFile(folder, SECRET).load() != await AuditStore(database).end():
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
        await asyncio.wait([running])
    with pytest.raises(Exception, match="not signed by this hub"):
        HeadFile(folder, b"another secret").load()


CALL = "POST (no such call)"


async def call(audit: Audit) -> httpx.Response:
    """Of an application that changes something."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(cast(Any, {"type": "http.response.start", "status": 201, "headers": []}))
        await send(cast(Any, {"type": "http.response.body", "body": b"{}"}))

    transport = httpx.ASGITransport(cast(Any, AuditedCalls(app, audit)))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        return await client.post("/api/v1/things")


async def test_what_could_not_be_written_while_the_registry_was_away_is_told_and_written_once_when_it_is_back(
    folder: Path,
) -> None:
    port = free_port()
    mongo = Mongo(MongoSection(url=f"mongodb://127.0.0.1:{port}"))

    async def mongod() -> Child:
        child = Child("mongod", mongod_command(port, folder / "data"), log_file=folder / "log")
        await child.start()
        await child.wait_until(lambda: port_open(port), within=60)
        return child

    server = await mongod()
    try:
        await mongo.prepare(prepare_registry)
        audit = audit_of(mongo.database, folder)
        await audit.note("first", actor="ada")
        await server.stop()
        with pytest.raises(DatabaseDown):
            await audit.note("second", actor="ada")
        audit.refuse("third", actor="dev-1")
        changed = await call(audit)
        assert (changed.status_code, changed.headers["Content-Type"]) == (503, "application/problem+json")
        assert int(changed.headers["Retry-After"]) >= 1
        server = await mongod()
        assert (await call(audit)).status_code == 201
        written = [document["action"] async for document in AuditStore(mongo.database).documents()]
        assert written == ["first", "second", "third", CALL, CALL]
        assert await verify(mongo.database) is None
    finally:
        mongo.close()
        await server.stop()
