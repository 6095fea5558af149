"""One upload on the disk: `ID.json` is what it is to become, `ID.part` the bytes that are here.

How far it has come is the length of the file, so a killed hub goes on where it was. Bytes whose checksum could not be
looked at before the end are cut off when it is opened again. Of several hubs on one folder one writes at a time.
"""

import asyncio
import fcntl
import hashlib
import os
import time
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec.structs import replace

from flip_hub.problem import Locked, TooLarge
from flip_hub.uploads.checksum import Checksum
from flip_hub.uploads.schemas import Upload, UploadRecord
from flip_runtime.atomic import write_file
from flip_wire.models import Sha256

_BLOCK = 2**20


class Part:
    """Blocking calls are quick, but those that say so."""

    def __init__(self, folder: Path, upload_id: str) -> None:
        self.id = upload_id
        self._about = folder / f"{upload_id}.json"
        self._bytes = folder / f"{upload_id}.part"

    def begin(self, record: UploadRecord) -> None:
        self._bytes.touch(mode=0o600)
        write_file(self._about, msgspec.json.encode(record))

    @property
    def path(self) -> Path:
        """Of the bytes."""
        return self._bytes

    @property
    def record(self) -> UploadRecord | None:
        """None when there is no such upload."""
        try:
            return msgspec.json.decode(self._about.read_bytes(), type=UploadRecord)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    @property
    def touched_at(self) -> float:
        """When the last of it came."""
        return max(path.stat().st_mtime for path in (self._about, self._bytes) if path.exists())

    def shown(self, record: UploadRecord, kept: float) -> Upload:
        return Upload(
            id=self.id,
            name=record.name,
            size=record.size,
            offset=self._offset(record),
            sha256=record.sha256,
            expires_at=self.touched_at + kept,
        )

    async def append(
        self, record: UploadRecord, offset: int, chunks: AsyncIterable[bytes], checksum: Checksum | None
    ) -> int:
        """The new offset. Raises `WrongOffset`, `Locked`, `TooLarge`, `WrongChecksum`; then nothing more is there."""
        with self._bytes.open("r+b") as file:
            _lock(file)
            start = self._offset(record)
            file.truncate(start)
            if offset != start:
                raise WrongOffset(start)
            file.seek(start)
            unverified = None if checksum is None else start
            if unverified != record.unverified:
                self._save(replace(record, unverified=unverified))
            try:
                await _receive(file, chunks, record.size - start, checksum)
                if checksum is not None:
                    checksum.check()
            except BaseException:
                if checksum is not None:
                    file.truncate(start)
                raise
            finally:
                await asyncio.to_thread(_flush, file)
            if checksum is not None:
                self._save(replace(record, unverified=None))
            return file.tell()

    async def finish(self, record: UploadRecord) -> UploadRecord:
        """Reads the whole file for its hash, once."""
        if record.sha256 is None:
            record = replace(record, unverified=None, sha256=Sha256(await asyncio.to_thread(self._hash)))
            self._save(record)
        return record

    async def content(self) -> AsyncIterator[bytes]:
        with self._bytes.open("rb") as file:
            while block := await asyncio.to_thread(file.read, _BLOCK):
                yield block

    def remove(self) -> None:
        self._about.unlink(missing_ok=True)
        self._bytes.unlink(missing_ok=True)

    def _offset(self, record: UploadRecord) -> int:
        here = self._bytes.stat().st_size
        return here if record.unverified is None else min(here, record.unverified)

    def _save(self, record: UploadRecord) -> None:
        write_file(self._about, msgspec.json.encode(record))

    def _hash(self) -> str:
        with self._bytes.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


class WrongOffset(Exception):
    """The upload is somewhere else."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


def upload_ids(folder: Path) -> list[str]:
    return [path.stem for path in folder.glob("*.json")]


def expired(folder: Path, kept: float) -> list[Part]:
    """Also bytes without a record, which a crash has left."""
    parts = [Part(folder, stem) for stem in {path.stem for path in folder.glob("*.*") if path.name[0] != "."}]
    return [part for part in parts if part.touched_at + kept < time.time()]


def _lock(file: BinaryIO) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Locked(
            "another request is sending this upload", hint="wait for its end, then HEAD says how far"
        ) from error


async def _receive(file: BinaryIO, chunks: AsyncIterable[bytes], room: int, checksum: Checksum | None) -> None:
    waiting = bytearray()
    async for chunk in chunks:
        room -= len(chunk)
        if room < 0:
            raise TooLarge("more bytes than Upload-Length announced", hint="begin a new upload of the right length")
        if checksum is not None:
            checksum.update(chunk)
        waiting += chunk
        if len(waiting) >= _BLOCK:  # a thread for each of a server's 64 KiB chunks would cost more than the write
            await asyncio.to_thread(file.write, bytes(waiting))
            waiting.clear()
    await asyncio.to_thread(file.write, bytes(waiting))


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
