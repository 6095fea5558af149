"""A file that only takes up room, to be given up when the disk is full: what must still be written then has a place.

An outbox in WAL mode cannot even delete on a full disk. With the room of the ballast it goes on, and once others have
left the disk some room, the ballast is made again.
"""

import asyncio
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

SIZE = 2**20
"""Bytes: some 250 pages of the outbox's log."""
_FULL = 2
"""Below so many times its size a disk counts as full,"""
_ROOM = 4
"""and above so many the ballast is made again."""
_LOOK_EVERY = 10.0
"""Seconds."""


class Ballast:
    def __init__(self, path: Path, size: int = SIZE, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._size = size
        self._clock = clock
        self._held = path.exists()
        self._looked = -_LOOK_EVERY

    @property
    def held(self) -> bool:
        return self._held

    def disk_full(self) -> bool:
        """Also when the ballast has just been given up."""
        return self._free() < _FULL * self._size

    def release(self) -> None:
        if self._held:
            self._path.unlink(missing_ok=True)
            self._held = False
            log.warning("the disk is full, its reserve is given up", extra={"bytes": self._size})

    async def remake(self) -> None:
        """Costs nothing while it is there; looks for room every few seconds while it is not."""
        if self._held or not self._size or self._clock() - self._looked < _LOOK_EVERY:
            return
        self._looked = self._clock()
        if self._free() >= _ROOM * self._size:
            await asyncio.to_thread(self._make)

    def _make(self) -> None:
        """Of random bytes, which no file system makes smaller."""
        part = self._path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                file.write(os.urandom(self._size))
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
        except OSError as error:
            part.unlink(missing_ok=True)
            log.warning("no reserve on the disk", extra={"reason": str(error)})
        else:
            self._held = True

    def _free(self) -> int:
        return shutil.disk_usage(self._path.parent).free
