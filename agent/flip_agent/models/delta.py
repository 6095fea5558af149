"""A model file made of the one before and a difference from the hub, where that is smaller than the file.

Whatever is wrong with it, the whole file is downloaded: what is made is admitted by its hash like any download.
"""

import logging
from pathlib import Path

from flip_agent.hub.client import HubClient
from flip_agent.hub.connection import OwnLimit
from flip_agent.models.disk_work import to_its_end
from flip_agent.models.store import ModelStore
from flip_agent.network.day_budget import DayBudget
from flip_runtime.errors import Corrupt, Rejected, Unavailable
from flip_wire.file_delta import FileDelta, applied
from flip_wire.models import FileRef, Manifest, Sha256

log = logging.getLogger(__name__)

_WORTH = 16 * 2**10
"""Bytes of a file; of a smaller one it would cost as much to ask as it saves."""
_ATTEMPTS = 5
"""Downloads of a delta that may be cut before the whole file is asked for."""


class DeltaFetch:
    def __init__(self, store: ModelStore, hub: HubClient, budget: DayBudget) -> None:
        self._store = store
        self._hub = hub
        self._budget = budget
        self._cuts: dict[Sha256, int] = {}

    def base_of(self, model: str, file: FileRef) -> Sha256 | None:
        """The file of that name in the version that is served; None when there is none, or it is the same."""
        active = self._store.active(model)
        if active is None or file.size < _WORTH:
            return None
        try:
            served: Manifest = self._store.manifest(active)
        except (Corrupt, Rejected):
            return None
        same = [each.sha256 for each in served.files if each.name == file.name and self._store.holds(each.sha256)]
        return same[0] if same and same[0] != file.sha256 else None

    async def fetched(self, file: FileRef, base: Sha256) -> bool:
        """Whether the file is there now, as a finished download. Raises `Unavailable` when it was cut, and goes on from
        there the next time, or when nothing more may come today."""
        if self._cuts.get(file.sha256, 0) >= _ATTEMPTS:
            return False
        delta = await self._asked(file, base)
        if delta is None or not 0 < delta.size < file.size or delta.sha256 in (file.sha256, base):
            return False
        try:
            part = self._store.part(delta.sha256)
            if not part.exists() or part.stat().st_size != delta.size:
                self._budget.left()
                await self._hub.download(delta.sha256, part, delta.size, self._budget)
            await to_its_end(self._apply, file, base, part)
        except OwnLimit:
            raise
        except Unavailable:
            self._cuts[file.sha256] = self._cuts.get(file.sha256, 0) + 1
            raise
        except (Corrupt, Rejected, ValueError, OSError) as error:
            log.warning("delta is of no use", extra={"file": file.sha256, "reason": str(error)})
            self._cuts[file.sha256] = _ATTEMPTS
            return False
        self._cuts.pop(file.sha256, None)
        log.info("made of a delta", extra={"file": file.sha256, "bytes": file.size, "downloaded": delta.size})
        return True

    async def _asked(self, file: FileRef, base: Sha256) -> FileDelta | None:
        try:
            return await self._hub.delta(file.sha256, base)
        except OwnLimit:
            raise
        except (Unavailable, Rejected):  # also an older hub's: then the download itself says what is wrong
            return None

    def _apply(self, file: FileRef, base: Sha256, delta: Path) -> None:
        """Raises `Corrupt`, `ValueError` or `OSError`."""
        part = self._store.part(file.sha256)
        part.unlink(missing_ok=True)
        try:
            with self._store.blob(base).open("rb") as old, delta.open("rb") as change, part.open("wb") as new:
                for block in applied(old, change, file.size):
                    new.write(block)
            self._store.admit(file.sha256)
        except BaseException:
            part.unlink(missing_ok=True)  # else it would be gone on with, as the beginning of the whole file
            raise
        finally:
            delta.unlink(missing_ok=True)
