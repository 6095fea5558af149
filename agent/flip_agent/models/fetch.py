"""Fetches a model version from the hub into the store: resumed where it ended, bounded, verified by hash.

Nothing becomes a blob whose bytes do not have the hash that the assignment (or the manifest it pins) names.
"""

import asyncio
import shutil

from flip_agent.hub.client import HubClient
from flip_agent.models.store import ModelStore
from flip_runtime.errors import Corrupt, Rejected, Unavailable
from flip_wire.models import Manifest, ModelAssignment, Sha256

MANIFEST_LIMIT = 16 * 2**20
"""Bytes of a manifest: probe tensors are its largest part."""
_RESERVE = 64 * 2**20
"""Bytes that stay free on the disk for what must not be lost."""


async def fetch_version(store: ModelStore, hub: HubClient, wanted: ModelAssignment) -> None:
    """Raises `Unavailable` (hub, disk space), `Corrupt` (hash, length) or `Rejected` (cannot be served here)."""
    if wanted.size > MANIFEST_LIMIT:
        raise Rejected(f"manifest of {wanted.size} bytes", hint=f"the limit is {MANIFEST_LIMIT}")
    await _fetch(store, hub, wanted.manifest, wanted.size)
    manifest = store.manifest(wanted.manifest)
    _check(manifest, wanted)
    _require_space(store, wanted.manifest, sum(file.size for file in manifest.files if not store.holds(file.sha256)))
    for file in manifest.files:
        await _fetch(store, hub, file.sha256, file.size)


async def _fetch(store: ModelStore, hub: HubClient, sha256: Sha256, size: int) -> None:
    if await _holds_intact(store, sha256):
        return
    part = store.part(sha256)
    present = part.stat().st_size if part.exists() else 0
    if present > size:
        part.unlink()
    if present < size:
        try:
            await hub.download(sha256, part, size)
        except Corrupt:
            part.unlink(missing_ok=True)
            raise
    await asyncio.to_thread(store.admit, sha256)


async def _holds_intact(store: ModelStore, sha256: Sha256) -> bool:
    if not store.holds(sha256):
        return False
    try:
        await asyncio.to_thread(store.verify, sha256)
    except Corrupt:  # rotten on the disk: fetched again
        store.blob(sha256).unlink()
        return False
    return True


def _check(manifest: Manifest, wanted: ModelAssignment) -> None:
    if (manifest.model, manifest.version) != (wanted.model, wanted.version):
        raise Rejected(f"the manifest is of {manifest.model} version {manifest.version}")
    if not manifest.deployable:
        raise Rejected("weights only: nothing to serve", hint="name an export entry point in the app")


def _require_space(store: ModelStore, wanted: Sha256, size: int) -> None:
    free = shutil.disk_usage(store.blob(wanted).parent).free
    if free < size + _RESERVE:
        raise Unavailable(f"{size} bytes to download, {free} free on the disk", hint="make room on agent.state's disk")
