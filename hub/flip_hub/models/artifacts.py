"""Files by their SHA-256: a file is there whole and as its name says, or it is not there.

Layout: `SHA256[0:2]/SHA256`; what is being written lies in `incoming/`. A file found damaged is moved aside to
`damaged/`, so that it is never handed out again, and can be stored anew.
"""

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import BinaryIO

from flip_runtime.atomic import sync_folder
from flip_runtime.errors import Corrupt, Rejected
from flip_wire.models import Sha256

ARTIFACT_LIMIT = 4 * 2**30
"""Bytes of one file."""
_BLOCK = 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ArtifactStore:
    def __init__(self, root: Path, *, limit: int = ARTIFACT_LIMIT) -> None:
        self._root = root
        self._limit = limit
        self._sound: dict[Sha256, tuple[int, int]] = {}
        """Size and time of change of the files whose hash this process has seen to be right."""
        self._verifying = asyncio.Lock()
        """So that a hundred devices that ask for a large file at once have it read once."""

    def create(self) -> None:
        """Makes the folder, and clears what a crash left half written."""
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in self._incoming.iterdir():
            part.unlink()

    # ---- reading ----

    def path(self, sha256: str) -> Path:
        """Where it lies, or would. Raises `Rejected` for a name that is no hash."""
        if not _SHA256.fullmatch(sha256):
            raise Rejected(f"{sha256[:80]!r} is no SHA-256", hint="64 lower-case hexadecimal digits")
        return self._root / sha256[:2] / sha256

    def holds(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def size(self, sha256: str) -> int:
        """Bytes. Raises `Corrupt` when it is missing."""
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError as error:
            raise _missing(sha256) from error

    def all(self) -> list[Sha256]:
        """What is here; reads every folder."""
        return [Sha256(path.name) for path in self._root.glob("[0-9a-f][0-9a-f]/*") if _SHA256.fullmatch(path.name)]

    async def verify(self, sha256: Sha256) -> None:
        """Reads the whole file. Raises `Corrupt` when it is missing or damaged, and moves a damaged one aside."""
        await asyncio.to_thread(self._verify, sha256)

    async def sound(self, sha256: Sha256) -> Path:
        """Its path, verified by this process at least once since the file changed. Raises `Corrupt`."""
        async with self._verifying:
            if self._sound.get(sha256) != _state(self.path(sha256)):
                await self.verify(sha256)
        return self.path(sha256)

    async def read(self, sha256: Sha256) -> bytes:
        """The content of a small file, verified. Raises `Corrupt`."""
        path = await self.sound(sha256)
        return await asyncio.to_thread(path.read_bytes)

    async def stream(self, sha256: Sha256, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `stop`, in blocks."""
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
        """Stores what arrives, and gives its size. Raises `Rejected`, and keeps nothing, when it is not that hash."""
        path = self.path(sha256)
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self._incoming / f"{sha256}.{secrets.token_hex(4)}"
        try:
            with part.open("xb") as file:
                size, found = await self._receive(file, chunks)
                if found != sha256:
                    raise Rejected(f"the content has hash {found}, not {sha256}", hint="send it again, whole")
                await asyncio.to_thread(_flush, file)
            await asyncio.to_thread(_rename, part, path)
        finally:
            part.unlink(missing_ok=True)
        self._remember(Sha256(sha256))
        return size

    def remove(self, sha256: Sha256) -> None:
        """What is not there is gone already."""
        self.path(sha256).unlink(missing_ok=True)
        self._sound.pop(sha256, None)

    async def _receive(self, file: BinaryIO, chunks: AsyncIterable[bytes]) -> tuple[int, str]:
        digest = hashlib.sha256()

        def keep(block: bytes) -> None:
            digest.update(block)
            file.write(block)

        size = 0
        waiting = bytearray()
        async for chunk in chunks:
            size += len(chunk)
            if size > self._limit:
                raise Rejected(f"more than {self._limit:,} bytes", hint="that is the largest file the hub takes")
            waiting += chunk
            if len(waiting) >= _BLOCK:  # a thread for each of a server's 64 KiB chunks would cost more than the write
                await asyncio.to_thread(keep, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(keep, bytes(waiting))
        return size, digest.hexdigest()

    def _verify(self, sha256: Sha256) -> None:
        path = self.path(sha256)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError as error:
            raise _missing(sha256) from error
        if found == sha256:
            self._remember(sha256)
            return
        aside = self._root / "damaged"
        aside.mkdir(exist_ok=True, mode=0o700)
        path.replace(aside / sha256)
        self._sound.pop(sha256, None)
        raise Corrupt(f"artifact {sha256[:12]} is damaged: its hash is {found[:12]}", hint=f"moved to {aside}")

    def _remember(self, sha256: Sha256) -> None:
        state = _state(self.path(sha256))
        if state is not None:
            self._sound[sha256] = state

    @property
    def _incoming(self) -> Path:
        return self._root / "incoming"


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def _missing(sha256: str) -> Corrupt:
    return Corrupt(f"artifact {sha256[:12]} is missing", hint="restore the hub's artifacts folder from a backup")


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _rename(part: Path, path: Path) -> None:
    path.parent.mkdir(exist_ok=True, mode=0o700)
    os.replace(part, path)
    sync_folder(path.parent)
