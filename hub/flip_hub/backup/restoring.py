"""Puts a backup into a registry: all of it, or the hub refuses to run on what there is.

The file is read to its end before anything is written. While documents are written the registry says so, so that a
hub that is started does not run on half of them. Then it is made what this version declares: documents of an earlier
schema are migrated, validators and indexes are made, the audit's chain is verified and told of the restore.
"""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from msgspec import Struct

from flip_hub.artifacts.artifacts import Artifacts
from flip_hub.artifacts.place import artifacts_in
from flip_hub.audit.build import audit_of, audit_secret, head_file
from flip_hub.audit.head import check
from flip_hub.audit.store import AuditStore
from flip_hub.audit.verification import Broken, verify_chain
from flip_hub.backup.archive import Batch, Description, End, FilePart, Header, read_archive, read_header
from flip_hub.backup.store import FOLDERS, BackupStore
from flip_hub.mongo import Database
from flip_hub.registry.collections import COLLECTIONS
from flip_hub.registry.lock import RegistryLock
from flip_hub.registry.migrations import MIGRATIONS, version_of
from flip_hub.registry.schema import begin_restore, finish_restore
from flip_hub.settings import Settings
from flip_runtime.errors import ConfigError, Corrupt, Rejected
from flip_wire.models import Sha256


class Restored(Struct, frozen=True, kw_only=True):
    header: Header
    end: End
    superseded: int
    """Documents that a hub changed while the copy was made, in a way that took a place from them."""
    missing: list[Sha256]
    """Artifacts that the registry names and that this hub does not have."""
    broken: Broken | None
    """What is wrong with the audit in it, if anything."""


async def restore_backup(settings: Settings, database: Database, path: Path, *, replace: bool, by: str) -> Restored:
    """Raises `Corrupt` for a damaged file, `ConfigError` for one of a newer hub, `Rejected` for a registry that is
    not empty."""
    header, end = _checked(path)
    store = BackupStore(database)
    if not replace and not await store.is_empty():
        raise Rejected("the registry is not empty", hint="--replace deletes what is in it; take a backup of it before")
    superseded = 0

    async def load() -> None:
        nonlocal superseded
        superseded = await _load(settings, database, store, header, path)

    await RegistryLock(database).run(load)
    await finish_restore(database)
    broken = await _continue_audit(settings, database, path, end, by)
    missing = await _missing(settings, store)
    return Restored(header=header, end=end, superseded=superseded, missing=missing, broken=broken)


def _checked(path: Path) -> tuple[Header, End]:
    header, known = read_header(path), version_of(MIGRATIONS)
    if header.schema > known:
        raise ConfigError(
            f"{path} is of schema version {header.schema}, this hub knows {known}",
            hint=f"restore it with flip-edge {header.hub}",
        )
    end = [description for description, _ in read_archive(path) if isinstance(description, End)]
    return header, end[0]


async def _load(settings: Settings, database: Database, store: BackupStore, header: Header, path: Path) -> int:
    await begin_restore(database, header.schema)
    await store.clear()
    await begin_restore(database, header.schema, COLLECTIONS)
    places = {folder: artifacts_in(settings, folder) for folder in FOLDERS}
    for place in places.values():
        place.create()
    records = read_archive(path)
    for description, content in records:
        if isinstance(description, Batch):
            await store.insert(description.collection, content)
        elif isinstance(description, FilePart):
            await _put(places[description.folder], description, content, records)
    return sum([await store.supersede(collection) for collection in COLLECTIONS])


async def _put(place: Artifacts, first: FilePart, content: bytes, records: Iterator[tuple[Description, bytes]]) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield content
        part = first
        while not part.last:
            part, block = next(records)
            if not isinstance(part, FilePart):
                raise Corrupt("a file in the backup has no end")
            yield block

    await place.put_stream(first.sha256, parts())


async def _continue_audit(settings: Settings, database: Database, path: Path, end: End, by: str) -> Broken | None:
    """The chain goes on after its last entry in the backup, and says what this hub had known of it before."""
    try:
        head = check(end.audit, audit_secret(settings)).link
    except Corrupt:  # another hub's: its keys were not brought along
        head = end.audit.link
    verdict = await verify_chain(AuditStore(database), head)
    before = head_file(settings).load()
    lost = before.seq - verdict.end.seq if before is not None else 0
    detail = f"the chain had {lost} more entries, up to {before.hash}" if before is not None and lost > 0 else ""
    await audit_of(settings, database).note("restore", actor=by, subject=path.name, detail=detail)
    head_file(settings).save(await AuditStore(database).end(), time.time())
    return verdict.broken


async def _missing(settings: Settings, store: BackupStore) -> list[Sha256]:
    places = {folder: artifacts_in(settings, folder) for folder in FOLDERS}
    return [sha256 async for folder, sha256 in store.artifacts() if not await places[folder].holds(sha256)]
