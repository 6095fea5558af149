"""Artifacts in a folder, of this hub alone or shared by several.

Layout: `SHA256[0:2]/SHA256`; what is being written lies in `incoming/`. A file found damaged is moved aside to
`damaged/`, so that it is never handed out again, and can be stored anew.
"""

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import BinaryIO

from flip_hub.artifacts.artifacts import ARTIFACT_LIMIT, Receipt, check_name, damaged, is_name, missing
from flip_runtime.atomic import sync_folder
from flip_runtime.errors import Corrupt
from flip_wire.models import Sha256

_BLOCK = 2**20
_ABANDONED = 24 * 3600.0
"""Seconds since its last byte came: another hub may still be writing a younger one."""


class FolderArtifacts:
    def __init__(self, root: Path, *, limit: int = ARTIFACT_LIMIT) -> None:
        self._root = root
        self._limit = limit
        self._sound: dict[Sha256, tuple[int, int]] = {}
        """Size and time of change of the files whose hash this process has seen to be right."""
        self._verifying = asyncio.Lock()
        """So that a hundred devices that ask for a large file at once have it read once."""

    def create(self) -> None:
        """Clears what a crash left half written, too."""
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in self._incoming.iterdir():
            if time.time() - part.stat().st_mtime > _ABANDONED:
                part.unlink(missing_ok=True)

    # ---- reading ----

    def path(self, sha256: str) -> Path:
        """Where it lies, or would. Raises `Rejected` for a name that is no hash."""
        return self._root / check_name(sha256)[:2] / sha256

    async def holds(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    async def size(self, sha256: str) -> int:
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError as error:
            raise missing(sha256) from error

    async def all(self) -> list[Sha256]:
        return await asyncio.to_thread(self._all)

    async def check(self, sha256: Sha256) -> None:
        async with self._verifying:
            if self._sound.get(sha256) != _state(self.path(sha256)):
                await self.verify(sha256)

    async def verify(self, sha256: Sha256) -> None:
        await asyncio.to_thread(self._verify, sha256)

    async def read(self, sha256: Sha256) -> bytes:
        await self.check(sha256)
        return await asyncio.to_thread(self.path(sha256).read_bytes)

    async def stream(self, sha256: Sha256, start: int, stop: int) -> AsyncIterator[bytes]:
        with self.path(sha256).open("rb") as file:
            file.seek(start)
            while start < stop:
                block = await asyncio.to_thread(file.read, min(_BLOCK, stop - start))
                if not block:
                    raise Corrupt(f"artifact {sha256[:12]} ended early")
                start += len(block)
                yield block

    # ---- writing ----

    async def put(self, content: bytes) -> Sha256:
        sha256 = Sha256(hashlib.sha256(content).hexdigest())

        async def one() -> AsyncIterator[bytes]:
            yield content

        await self.put_stream(sha256, one())
        return sha256

    async def put_stream(self, sha256: str, chunks: AsyncIterable[bytes]) -> int:
        path = self.path(sha256)
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self._incoming / f"{sha256}.{secrets.token_hex(4)}"
        receipt = Receipt(sha256, self._limit)
        try:
            with part.open("xb") as file:
                await _receive(file, chunks, receipt)
                receipt.check()
                await asyncio.to_thread(_flush, file)
            await asyncio.to_thread(_rename, part, path)
        finally:
            part.unlink(missing_ok=True)
        self._remember(Sha256(sha256))
        return receipt.size

    async def remove(self, sha256: Sha256) -> None:
        self.path(sha256).unlink(missing_ok=True)
        self._sound.pop(sha256, None)

    # ---- parts ----

    def _all(self) -> list[Sha256]:
        return [Sha256(path.name) for path in self._root.glob("[0-9a-f][0-9a-f]/*") if is_name(path.name)]

    def _verify(self, sha256: Sha256) -> None:
        path = self.path(sha256)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError as error:
            raise missing(sha256) from error
        if found == sha256:
            self._remember(sha256)
            return
        aside = self._root / "damaged"
        aside.mkdir(exist_ok=True, mode=0o700)
        path.replace(aside / sha256)
        self._sound.pop(sha256, None)
        raise damaged(sha256, found, str(aside))

    def _remember(self, sha256: Sha256) -> None:
        state = _state(self.path(sha256))
        if state is not None:
            self._sound[sha256] = state

    @property
    def _incoming(self) -> Path:
        return self._root / "incoming"


async def _receive(file: BinaryIO, chunks: AsyncIterable[bytes], receipt: Receipt) -> None:
    def keep(block: bytes) -> None:
        receipt.add(block)
        file.write(block)

    waiting = bytearray()
    async for chunk in chunks:
        receipt.expect(len(chunk))
        waiting += chunk
        if len(waiting) >= _BLOCK:  # a thread for each of a server's 64 KiB chunks would cost more than the write
            await asyncio.to_thread(keep, bytes(waiting))
            waiting.clear()
    await asyncio.to_thread(keep, bytes(waiting))


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _rename(part: Path, path: Path) -> None:
    path.parent.mkdir(exist_ok=True, mode=0o700)
    os.replace(part, path)
    sync_folder(path.parent)
