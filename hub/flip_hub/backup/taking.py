"""Takes a backup while hubs run.

Collections are copied one after the other, those that refer to others before those that are referred to, and the audit
first: so whatever a copied document names is in the copy as well, unless it was deleted meanwhile, and so is whatever
the audit says was done. What was done after the audit was copied may be in it without its entry. Each document is
whole. The hub's keys are not in it: they lie in `hub.state`, and are kept apart.
"""

import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct

from flip_hub.artifacts.place import artifacts_in
from flip_hub.audit.build import audit_of, audit_secret
from flip_hub.audit.head import Head, signed
from flip_hub.audit.store import AuditStore
from flip_hub.backup.archive import End, FilePart, Header, Writer, writing
from flip_hub.backup.store import FOLDERS, BackupStore
from flip_hub.mongo import Database
from flip_hub.registry.collection import Collection
from flip_hub.registry.collections import COLLECTIONS, PASSING
from flip_hub.registry.schema import schema_version
from flip_hub.settings import Settings
from flip_runtime.errors import Corrupt, Rejected
from flip_wire.models import Sha256

_BLOCK = 2**20


class Taken(Struct, frozen=True, kw_only=True):
    end: End
    missing: list[Sha256]
    """Artifacts that the registry names and that are not there."""


async def take_backup(settings: Settings, database: Database, path: Path, *, with_artifacts: bool, by: str) -> Taken:
    """Raises `Rejected` when there is no registry, `ConfigError` when the file cannot be written."""
    schema = await schema_version(database)
    if schema is None:
        raise Rejected("the registry is empty", hint="is mongo.database the one of the hub?")
    store = BackupStore(database)
    with writing(path) as writer:
        writer.begin(
            Header(schema=schema, hub=version("flip-edge"), taken_at=time.time(), with_artifacts=with_artifacts)
        )
        audit = await _copy_audit(settings, database, store, writer)
        for collection in copied():
            if collection.name != "audit":
                await _copy(store, collection, writer)
        missing = await _copy_artifacts(settings, store, writer) if with_artifacts else []
        end = writer.end(audit)
    said = f"{sum(end.documents.values())} documents, {end.files} files"
    await audit_of(settings, database).note("backup", actor=by, subject=path.name, detail=said)
    return Taken(end=end, missing=missing)


def copied() -> Iterator[Collection]:
    """In the order in which they are copied."""
    return (collection for collection in reversed(COLLECTIONS) if collection not in PASSING)


async def _copy_audit(settings: Settings, database: Database, store: BackupStore, writer: Writer) -> Head:
    """How far it goes, signed; the chain may have grown since, so what is copied goes at least as far."""
    end = await AuditStore(database).end()
    await _copy(store, next(each for each in COLLECTIONS if each.name == "audit"), writer)
    return signed(end, time.time(), audit_secret(settings))


async def _copy(store: BackupStore, collection: Collection, writer: Writer) -> None:
    async for batch in store.batches(collection):
        writer.add(collection.name, batch)


async def _copy_artifacts(settings: Settings, store: BackupStore, writer: Writer) -> list[Sha256]:
    missing: list[Sha256] = []
    places = {folder: artifacts_in(settings, folder) for folder in FOLDERS}
    async for folder, sha256 in store.artifacts():
        place = places[folder]
        try:
            size = await place.size(sha256)
        except Corrupt:
            missing.append(sha256)
            continue
        at = 0
        async for block in place.stream(sha256, 0, size):
            at += len(block)
            writer.add_part(FilePart(folder=folder, sha256=sha256, last=at == size), block)
        if not size:
            writer.add_part(FilePart(folder=folder, sha256=sha256, last=True), b"")
    return missing
