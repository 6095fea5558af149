"""Fetches a model version from the hub into the store: only what is new, as a delta where that is smaller, resumed
where it ended, bounded in bytes a day, verified by hash.

Nothing becomes a blob whose bytes do not have the hash that the assignment (or the manifest it pins) names.
"""

import asyncio
import shutil

from flip_agent.hub.client import HubClient
from flip_agent.models.delta import DeltaFetch
from flip_agent.models.disk_work import to_its_end
from flip_agent.models.servable import servable_files
from flip_agent.models.store import ModelStore
from flip_agent.network.day_budget import DayBudget
from flip_runtime.errors import Corrupt, Rejected, Unavailable
from flip_wire.models import FileRef, Manifest, ModelAssignment, Sha256

MANIFEST_LIMIT = 16 * 2**20
"""Bytes of a manifest: probe tensors are its largest part."""
_RESERVE = 64 * 2**20
"""Bytes that stay free on the disk for what must not be lost."""


class Fetch:
    def __init__(self, store: ModelStore, hub: HubClient, budget: DayBudget) -> None:
        self._store = store
        self._hub = hub
        self._budget = budget
        self._deltas = DeltaFetch(store, hub, budget)

    async def version(self, wanted: ModelAssignment) -> None:
        """Raises `Unavailable` (hub, budget, disk space), `Corrupt` (hash, length) or `Rejected` (cannot be served
        here)."""
        if not 0 < wanted.size <= MANIFEST_LIMIT:
            raise Rejected(f"manifest of {wanted.size} bytes", hint=f"the limit is {MANIFEST_LIMIT}")
        await self._file(wanted.manifest, wanted.size)
        manifest = await asyncio.to_thread(self._store.manifest, wanted.manifest)
        _check(manifest, wanted)
        self._require_space(wanted.manifest, manifest)
        for file in manifest.files:
            await self._whole_or_delta(wanted.model, file)

    async def _whole_or_delta(self, model: str, file: FileRef) -> None:
        begun = self._store.holds(file.sha256) or self._store.part(file.sha256).exists()
        base = None if begun else await asyncio.to_thread(self._deltas.base_of, model, file)
        if base is None or not await self._deltas.fetched(file, base):
            await self._file(file.sha256, file.size)

    async def _file(self, sha256: Sha256, size: int) -> None:
        if await self._holds_intact(sha256):
            return
        part = self._store.part(sha256)
        present = part.stat().st_size if part.exists() else 0
        if present > size:
            part.unlink()
            present = 0
        if present != size:
            self._budget.left()
            try:
                await self._hub.download(sha256, part, size, self._budget)
            except Corrupt:
                part.unlink(missing_ok=True)
                raise
        await to_its_end(self._store.admit, sha256)

    async def _holds_intact(self, sha256: Sha256) -> bool:
        if not self._store.holds(sha256):
            return False
        try:
            await asyncio.to_thread(self._store.verify, sha256)
        except Corrupt:  # rotten on the disk: fetched again
            self._store.blob(sha256).unlink()
            return False
        return True

    def _require_space(self, wanted: Sha256, manifest: Manifest) -> None:
        size = sum(file.size for file in manifest.files if not self._store.holds(file.sha256))
        free = shutil.disk_usage(self._store.blob(wanted).parent).free
        if free < size + _RESERVE:
            reason = f"{size} bytes to download, {free} free on the disk"
            raise Unavailable(reason, hint="make room on agent.state's disk")


def _check(manifest: Manifest, wanted: ModelAssignment) -> None:
    if (manifest.model, manifest.version) != (wanted.model, wanted.version):
        raise Rejected(f"the manifest is of {manifest.model[:80]} version {manifest.version}")
    servable_files(manifest)
