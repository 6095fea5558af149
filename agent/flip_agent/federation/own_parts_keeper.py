"""Leaves what this device has trained of its local parts where `serve` finds it, before the reply is kept.

So after a kill at any moment the file is that of the last training, or the training is done again. It is written only
when the arrays have changed. Files of the newest runs stay, and those of versions that are in service here.
"""

import errno
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from flip_agent.federation.flower import kept_arrays
from flip_agent.federation.mods.local_parts import OWN
from flip_agent.models.store import ModelStore
from flip_agent.own_parts import OwnParts, OwnPartsFolder, encode_parts, oldest_first, same_arrays
from flip_runtime.atomic import write_file
from flip_runtime.errors import Corrupt, FlipError, Unavailable
from flip_wire.terms import Terms

log = logging.getLogger(__name__)

_RUNS = 8
"""Whose files stay, beside those in service."""
_KINDS = "fiub"
"""NumPy's: floating point, integers with and without sign, truth values. A graph takes no others."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


class OwnPartsKeeper:
    def __init__(self, folder: Path, store: ModelStore, now: Callable[[], float] = time.time) -> None:
        """`store`: of the model versions that are in service here, which is only read."""
        self._folder = folder
        self._files = OwnPartsFolder(folder)
        self._store = store
        self._now = now

    def keep(self, terms: Terms, state: bytes) -> None:
        """What `context.state` holds of them after a message with these terms; durable when it returns. Raises
        `Unavailable` while the disk is full."""
        if not terms.local:
            return
        kept = kept_arrays(state, OWN)
        arrays: dict[str, NDArray[Any]] = {name: each for name, each in kept.items() if each.dtype.kind in _KINDS}
        if not arrays or self._holds(terms.run_id, arrays):
            return
        parts = OwnParts(run_id=terms.run_id, round=terms.round, trained_at=self._now(), arrays=arrays)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            write_file(self._files.path(terms.run_id), encode_parts(parts))
            self._remove_old(terms.run_id)
        except OSError as error:
            if error.errno in _FULL:
                raise Unavailable(f"no room for this device's own parts: {error.strerror}") from error
            # training goes on: `serve` says of which round the parts are that it answers with
            log.error("own parts cannot be kept for serving", extra={"reason": str(error.strerror)})

    def _holds(self, run_id: str, arrays: dict[str, NDArray[Any]]) -> bool:
        try:
            found = self._files.read(run_id)
        except Corrupt:
            return False
        return found is not None and same_arrays(found.arrays, arrays)

    def _remove_old(self, run_id: str) -> None:
        files = oldest_first(self._folder)
        if len(files) <= _RUNS:
            return
        try:
            stay = {self._files.path(each) for each in (run_id, *self._in_service())}
        except FlipError as error:  # then any file may be one that is served
            log.warning("old own parts stay", extra={"reason": str(error)})
            return
        for path in files[:-_RUNS]:
            if path not in stay:
                path.unlink(missing_ok=True)

    def _in_service(self) -> list[str]:
        """Runs that the active versions and those before them come from."""
        names = self._store.models()
        manifests = {self._store.active(name) for name in names} | {self._store.previous(name) for name in names}
        return [self._store.manifest(sha256).run_id for sha256 in manifests if sha256 is not None]
