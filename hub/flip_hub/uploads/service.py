"""Uploads: whose they are, how much may lie here, and how a finished one becomes part of something.

What nobody goes on with is thrown away after `uploads.kept` seconds; what is used is copied to the artifacts first.
"""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import AsyncIterable
from pathlib import Path
from typing import NoReturn

from flip_hub.api.pages import Page, Wanted, cut
from flip_hub.artifacts.artifacts import Artifacts
from flip_hub.problem import Conflict, NotFound, TooLarge, Unprocessable
from flip_hub.settings import UploadsSection
from flip_hub.uploads.checksum import Checksum
from flip_hub.uploads.part import Part, WrongOffset, expired, upload_ids
from flip_hub.uploads.schemas import Upload, UploadRecord

log = logging.getLogger(__name__)

MOST_OF_ONE = 50
"""Uploads of one person at a time."""
TIDY_EVERY = 600.0
"""Seconds."""
_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Uploads:
    def __init__(self, folder: Path, settings: UploadsSection) -> None:
        self._folder = folder
        self._kept = settings.kept
        self._largest = settings.largest
        self._most_bytes = settings.most_bytes
        self._beginning = asyncio.Lock()

    def create(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def largest(self) -> int:
        """Bytes of one file."""
        return self._largest

    async def begin(self, owner: str, size: int, metadata: str, said: dict[str, str]) -> Upload:
        """Raises `TooLarge`, `Unprocessable`, or `Conflict` when too much lies here already."""
        if size > self._largest:
            raise TooLarge(f"more than {self._largest:,} bytes", hint="uploads.largest in hub.toml")
        wanted, name = said.get("sha256", ""), said.get("filename") or said.get("name", "")
        if wanted and not _SHA256.fullmatch(wanted):
            raise Unprocessable("sha256 in Upload-Metadata is no SHA-256", hint="64 lower-case hexadecimal digits")
        if len(name) > 255 or not name.isprintable():
            raise Unprocessable("filename must be at most 255 printable characters")
        part = Part(self._folder, secrets.token_hex(16))
        async with self._beginning:
            await asyncio.to_thread(self._check_room, owner, size)
            record = UploadRecord(owner=owner, name=name, size=size, metadata=metadata, wanted=wanted)
            await asyncio.to_thread(part.begin, record)
        return (await self._whole(part, record)) if size == 0 else part.shown(record, self._kept)

    async def page(self, owner: str, wanted: Wanted) -> Page[Upload]:
        """One's own, by id."""
        found = await asyncio.to_thread(self._all)
        mine = [part.shown(record, self._kept) for part, record in found if record.owner == owner]
        return cut(mine, wanted, lambda upload: (upload.id,))

    async def get(self, owner: str, upload_id: str) -> Upload:
        """Raises `NotFound`, also for another's."""
        part, record = self._part(owner, upload_id)
        return part.shown(record, self._kept)

    def metadata(self, owner: str, upload_id: str) -> str:
        return self._part(owner, upload_id)[1].metadata

    async def append(
        self, owner: str, upload_id: str, offset: int, chunks: AsyncIterable[bytes], checksum: Checksum | None
    ) -> Upload:
        """Raises `NotFound`, `Conflict` for another offset, `Locked`, `TooLarge`, `WrongChecksum`."""
        part, record = self._part(owner, upload_id)
        try:
            reached = await part.append(record, offset, chunks, checksum)
        except WrongOffset as error:
            raise Conflict(f"the upload is at byte {error.offset}, not {offset}", hint="ask with HEAD") from error
        part, record = self._part(owner, upload_id)
        return await self._whole(part, record) if reached == record.size else part.shown(record, self._kept)

    async def remove(self, owner: str, upload_id: str) -> None:
        """Raises `NotFound`."""
        self._part(owner, upload_id)[0].remove()

    async def store(self, owner: str, upload_id: str, artifacts: Artifacts) -> Upload:
        """Copies a finished one to the artifacts, where `sha256` names it. Raises `NotFound`, `Conflict`."""
        part, record = self._finished(owner, upload_id, self._largest)
        upload = await self._whole(part, record)
        assert upload.sha256 is not None
        if not await artifacts.holds(upload.sha256):
            await artifacts.put_stream(upload.sha256, part.content())
        return upload

    async def file(self, owner: str, upload_id: str) -> Path:
        """Of a finished one, to be looked at. Raises `NotFound`, `Conflict`."""
        return self._finished(owner, upload_id, self._largest)[0].path

    async def read(self, owner: str, upload_id: str, most: int) -> bytes:
        """The content of a small one. Raises `NotFound`, `Conflict`, `TooLarge`."""
        part, _ = self._finished(owner, upload_id, most)
        return b"".join([block async for block in part.content()])

    async def keep_tidy(self) -> NoReturn:
        """Until it is cancelled."""
        while True:
            gone = await asyncio.to_thread(self._remove_expired)
            if gone:
                log.info("abandoned uploads removed", extra={"count": gone})
            await asyncio.sleep(TIDY_EVERY)

    # ---- parts --------------------------------------------------------------------------------------------------

    async def _whole(self, part: Part, record: UploadRecord) -> Upload:
        record = await part.finish(record)
        if record.wanted and record.sha256 != record.wanted:
            part.remove()
            raise Unprocessable(f"the file has hash {record.sha256}, not {record.wanted}", hint="upload it again")
        return part.shown(record, self._kept)

    def _finished(self, owner: str, upload_id: str, most: int) -> tuple[Part, UploadRecord]:
        part, record = self._part(owner, upload_id)
        upload = part.shown(record, self._kept)
        if upload.size > most:
            raise TooLarge(f"this upload has {upload.size:,} bytes", hint=f"at most {most:,} are taken here")
        if upload.offset != upload.size:
            raise Conflict(f"{upload.offset:,} of {upload.size:,} bytes of this upload are here", hint="send the rest")
        return part, record

    def _part(self, owner: str, upload_id: str) -> tuple[Part, UploadRecord]:
        part = Part(self._folder, upload_id)
        record = part.record if _ID.fullmatch(upload_id) else None
        if record is None or record.owner != owner or part.touched_at + self._kept < time.time():
            raise NotFound(f"no upload {upload_id[:40]!r} of yours", hint="begin one: POST /api/v1/uploads")
        return part, record

    def _all(self) -> list[tuple[Part, UploadRecord]]:
        parts = [Part(self._folder, upload_id) for upload_id in upload_ids(self._folder)]
        return [(part, record) for part in parts if (record := part.record) is not None]

    def _check_room(self, owner: str, size: int) -> None:
        found = self._all()
        if sum(record.owner == owner for _, record in found) >= MOST_OF_ONE:
            raise Conflict(f"{MOST_OF_ONE} uploads of yours are here", hint="DELETE those that nobody needs")
        if sum(record.size for _, record in found) + size > self._most_bytes:
            raise Conflict("too much is being uploaded", hint="wait, DELETE uploads, or raise uploads.most_bytes")

    def _remove_expired(self) -> int:
        gone = expired(self._folder, self._kept)
        for part in gone:
            part.remove()
        return len(gone)
