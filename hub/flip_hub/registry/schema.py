"""Makes the registry what this version of the hub declares: collections, validators, indexes, and documents' form.

Safe at every start, with as many hubs starting at once as there are. A registry that a newer hub has made is left as
it is, and this hub does not run on it.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError, OperationFailure

from flip_hub.mongo import Database, Document
from flip_hub.registry.collection import Collection, Index
from flip_hub.registry.collections import COLLECTIONS
from flip_hub.registry.lock import RegistryLock
from flip_hub.registry.migrations import MIGRATIONS, OLDEST, Migration, version_of
from flip_runtime.errors import ConfigError

log = logging.getLogger(__name__)

_VERSION = "schema"
_EXISTS = 48


async def prepare_registry(
    database: Database,
    collections: Sequence[Collection] = COLLECTIONS,
    migrations: tuple[Migration, ...] = MIGRATIONS,
) -> None:
    """Raises `ConfigError` when the registry is newer than this hub."""
    await _refuse_newer(database, migrations)
    await RegistryLock(database).run(lambda: _make(database, collections, migrations))


async def begin_restore(database: Database, version: int, collections: Sequence[Collection] = ()) -> None:
    """From now on no hub runs on this registry, until `finish_restore`. Makes the time series among `collections`:
    documents cannot be put into what only later becomes one."""
    change = {"$set": {"version": version, "restoring": True}}
    await database["registry"].update_one({"_id": _VERSION}, change, upsert=True)
    for collection in collections:
        if collection.series is not None:
            await _make_collection(database, collection, None)


async def finish_restore(database: Database) -> None:
    """When all documents are there."""

    async def finish() -> None:
        await database["registry"].update_one({"_id": _VERSION}, {"$unset": {"restoring": ""}})
        await _make(database, COLLECTIONS, MIGRATIONS)

    await RegistryLock(database).run(finish)


async def schema_version(database: Database) -> int | None:
    """None: nothing is in it yet."""
    document = await database["registry"].find_one({"_id": _VERSION})
    if document is not None:
        return document["version"]
    names = await database.list_collection_names()
    others = [name for name in names if name != "registry" and not name.startswith("system.")]
    return OLDEST if others else None


async def _make(database: Database, collections: Sequence[Collection], migrations: tuple[Migration, ...]) -> None:
    await _migrate(database, migrations)
    there = {each["name"]: each.get("options", {}) async for each in await database.list_collections()}
    for collection in collections:
        await _make_collection(database, collection, there.get(collection.name))
    async with asyncio.TaskGroup() as group:
        for collection in collections:
            group.create_task(_make_indexes(database, collection))


# ---- documents -----------------------------------------------------------------------------------------------------


async def _refuse_newer(database: Database, migrations: tuple[Migration, ...]) -> None:
    if await database["registry"].find_one({"_id": _VERSION, "restoring": True}) is not None:
        raise ConfigError("a restore of the registry was cut off", hint="once more: flip-hub restore FILE --replace")
    found, known = await schema_version(database), version_of(migrations)
    if found is not None and found > known:
        raise ConfigError(
            f"the registry has schema version {found}, made by a newer hub; this one knows {known}",
            hint="upgrade this hub, or restore a backup that this version made: flip-hub restore",
        )


async def _migrate(database: Database, migrations: tuple[Migration, ...]) -> None:
    await _refuse_newer(database, migrations)  # again: another hub may have been first
    version = await schema_version(database)
    if version is None:
        await _say_version(database, version_of(migrations))
        return
    for migration in migrations:
        if migration.to > version:
            log.info("registry migrates", extra={"to": migration.to, "why": migration.why})
            await migration.step(database)
            await _say_version(database, migration.to)
    await _say_version(database, version_of(migrations))


async def _say_version(database: Database, version: int) -> None:
    await database["registry"].update_one({"_id": _VERSION}, {"$set": {"version": version}}, upsert=True)


# ---- collections ---------------------------------------------------------------------------------------------------


async def _make_collection(database: Database, collection: Collection, there: Document | None) -> None:
    wanted = _options(collection)
    if there is None:
        try:
            await database.command("create", collection.name, **wanted)
            return
        except OperationFailure as error:
            if error.code != _EXISTS:  # a hub of the version before has just written to it
                raise
    changeable = {name: value for name, value in wanted.items() if name != "timeseries"}
    if {name: (there or {}).get(name) for name in changeable} != changeable:
        await database.command("collMod", collection.name, **changeable)


def _options(collection: Collection) -> dict[str, Any]:
    if collection.series is not None:
        series = collection.series
        shape = {"timeField": series.at, "metaField": series.of, "granularity": series.granularity}
        return {"timeseries": shape, "expireAfterSeconds": series.kept}
    if collection.schema is None:
        return {}
    validator = {"$jsonSchema": collection.schema}
    return {"validator": validator, "validationLevel": "strict", "validationAction": "error"}


# ---- indexes -------------------------------------------------------------------------------------------------------


async def _make_indexes(database: Database, collection: Collection) -> None:
    """Indexes that nobody declared are an operator's, and stay."""
    if not collection.indexes:
        return
    there = {each["name"]: each async for each in database[collection.name].list_indexes()}
    for index in collection.indexes:
        if index.name in there:
            await _change_index(database, collection, index, there[index.name])
    lacking = [index for index in collection.indexes if index.name not in there]
    if lacking:
        await _create(database, collection, lacking)


async def _change_index(database: Database, collection: Collection, index: Index, there: Document) -> None:
    if _as_told(there) == index.options:
        return
    if index.kept is not None and "expireAfterSeconds" in there:
        change = {"name": index.name, "expireAfterSeconds": index.kept}
        await database.command("collMod", collection.name, index=change)
        return
    await database[collection.name].drop_index(index.name)
    await _create(database, collection, [index])


async def _create(database: Database, collection: Collection, indexes: Sequence[Index]) -> None:
    try:
        await database[collection.name].create_indexes([_model(index) for index in indexes])
    except DuplicateKeyError as error:
        raise ConfigError(
            f"two documents of {collection.name} stand where one may be: {(error.details or {}).get('keyValue')}",
            hint="delete one of them with mongosh, or restore a backup: flip-hub restore",
        ) from error


def _as_told(there: Document) -> dict[str, Any]:
    """The options of an index that is there."""
    return {name: value for name, value in there.items() if name not in ("v", "key", "name", "ns")}


def _model(index: Index) -> IndexModel:
    return IndexModel(list(index.keys), name=index.name, **index.options)
