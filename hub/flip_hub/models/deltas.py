"""Model files as differences from the version before, made when the first device asks, and kept for the others.

They are a cache: a hub makes at most `KEPT` bytes, and removes its oldest. Their files lie beside the artifacts, which
of several hubs are everyone's; in `hub.state/deltas` each remembers what it has made, and what was not worth it.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import msgspec

from flip_hub.artifacts.artifacts import Artifacts, is_name
from flip_hub.models.service import ModelService
from flip_hub.problem import NotFound
from flip_runtime.atomic import write_file
from flip_runtime.errors import Corrupt
from flip_wire.file_delta import BLOCK, WIDTHS, FileDelta, block, head
from flip_wire.models import Sha256

log = logging.getLogger(__name__)

KEPT = 2 * 2**30
"""Bytes."""
LARGEST = 2**30
"""Bytes of a file; of a larger one nobody waits until its delta is made."""
_WORTH = 0.95
"""Of the file's size: a larger delta is none."""
_NONE = FileDelta(sha256=Sha256(""), size=0)
_READ = 2**20
_INDEX = 4096
"""Bytes that a file takes on the disk at least."""


class Deltas:
    def __init__(
        self, folder: Path, files: Artifacts, artifacts: Artifacts, models: ModelService, *, kept: int = KEPT
    ) -> None:
        """`folder` for what is remembered; `files` are the deltas themselves, and nothing else's."""
        self.files = files
        self._folder = folder
        self._artifacts = artifacts
        self._models = models
        self._kept = kept
        self._making = asyncio.Lock()
        """One at a time: it takes a core for seconds, and a hundred devices ask for the same one."""

    def create(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.files.create()

    async def holds(self, sha256: Sha256) -> bool:
        return is_name(sha256) and await self.files.holds(sha256)

    async def delta(self, sha256: Sha256, base: Sha256) -> FileDelta:
        """Raises `NotFound` when there is none that is smaller, or they are not the same file of two versions of one
        model."""
        if not (is_name(sha256) and is_name(base) and await self._models.succeeds(sha256, base)):
            raise NotFound("no versions of one model have these as the same file", hint="download the whole file")
        async with self._making:
            found = await self._known(sha256, base) or await self._made(sha256, base)
        if found == _NONE:
            raise NotFound("there is no delta that is smaller", hint="download the whole file")
        return found

    # ---- one at a time ----

    async def _known(self, sha256: Sha256, base: Sha256) -> FileDelta | None:
        found = _remembered(self._index(sha256, base))
        return found if found in (None, _NONE) or await self.holds(found.sha256) else None

    async def _made(self, sha256: Sha256, base: Sha256) -> FileDelta:
        with TemporaryFile(dir=self._folder) as file:
            try:
                made = await self._write(file, sha256, base)
            except Corrupt as error:
                raise NotFound(error.args[0], hint="restore the hub's artifacts from a backup") from error
            if made != _NONE:
                await self.files.put_stream(made.sha256, _read(file))
        await asyncio.to_thread(write_file, self._index(sha256, base), msgspec.json.encode(made))
        await self._forget_oldest()
        log.info("delta", extra={"of": sha256, "base": base, "size": made.size})
        return made

    async def _write(self, file: BinaryIO, sha256: Sha256, base: Sha256) -> FileDelta:
        """`_NONE` as soon as it is too large. Raises `Corrupt` when one of the files is missing or damaged."""
        for name in (sha256, base):
            await self._artifacts.check(name)
        size, base_size = await self._artifacts.size(sha256), await self._artifacts.size(base)
        if size > LARGEST:
            return _NONE
        news = _blocks(self._artifacts.stream(sha256, 0, size))
        bases = _blocks(self._artifacts.stream(base, 0, base_size))
        digest, written, width = hashlib.sha256(), 0, 0
        async for new in news:
            old = await anext(bases, b"")
            if not width:
                width = await asyncio.to_thread(_best_width, old, new)
            piece = await asyncio.to_thread(block, old, new, width)
            for part in (head(size, width), piece) if not written else (piece,):
                digest.update(part)
                written += file.write(part)
            if written > _WORTH * size:
                return _NONE
        return FileDelta(sha256=Sha256(digest.hexdigest()), size=written) if written else _NONE

    async def _forget_oldest(self) -> None:
        """One that another hub has removed is made anew when somebody asks."""
        newest = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        total = 0
        for index in newest:
            made = _remembered(index) or _NONE
            total += made.size + _INDEX
            if total > self._kept:
                index.unlink(missing_ok=True)
                if made != _NONE:
                    await self.files.remove(made.sha256)

    def _index(self, sha256: Sha256, base: Sha256) -> Path:
        return self._folder / f"{sha256}-{base}.json"


def _remembered(index: Path) -> FileDelta | None:
    try:
        return msgspec.json.decode(index.read_bytes(), type=FileDelta)
    except (OSError, ValueError):  # also of text that is no UTF-8
        return None


def _best_width(base: bytes, new: bytes) -> int:
    return min(WIDTHS, key=lambda width: len(block(base, new, width)))


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Of `BLOCK` bytes each, but for the last."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        while len(waiting) >= BLOCK:
            yield bytes(waiting[:BLOCK])
            del waiting[:BLOCK]
    if waiting:
        yield bytes(waiting)


async def _read(file: BinaryIO) -> AsyncIterator[bytes]:
    file.seek(0)
    while chunk := await asyncio.to_thread(file.read, _READ):
        yield chunk
