"""One answer of the SuperLink for many devices: it grows while it is fetched, and each reads it at its own pace.

A large one is in a file without a name, which is gone with its last reader or with the process.
"""

import asyncio
import os
import weakref
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from flip_runtime.errors import Unavailable

LARGE = 2**18
"""Bytes; below, a file would cost more than the memory."""
_PIECE = 2**18
"""Bytes that a reader holds."""


class StoredAnswer:
    def __init__(self, key: tuple[str, ...]) -> None:
        self.key = key
        self.status = 0
        self.headers: Mapping[bytes, bytes] = {}
        self.size = 0
        """Bytes so far."""
        self.whole = False
        self._failed: Exception | None = None
        self._content = bytearray()
        self._file: int | None = None
        self._changed = asyncio.Event()

    @property
    def on_disk(self) -> bool:
        return self._file is not None

    def begin(self, status: int, headers: Mapping[bytes, bytes], folder: Path) -> None:
        """Raises `OSError` when there is no file to be had."""
        if int(headers.get(b"content-length", b"0")) > LARGE:
            self._file = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
            weakref.finalize(self, os.close, self._file)
        self.status, self.headers = status, headers
        self._tell()

    def append(self, chunk: bytes) -> None:
        """Raises `OSError` when the disk is full."""
        if self._file is None:
            self._content += chunk
        else:
            left = memoryview(chunk)
            while left:
                left = left[os.write(self._file, left) :]
        self.size += len(chunk)
        self._tell()

    def end(self) -> None:
        self.whole = True
        self._tell()

    def fail(self, error: Exception) -> None:
        self._failed = error
        self._tell()

    async def begun(self) -> None:
        """Until `status` and `headers` are there. Raises `Unavailable` when they do not come."""
        while not self.status:
            await self._change()

    async def chunks(self) -> AsyncIterator[bytes]:
        """From its beginning to its end. Raises `Unavailable` when the end does not come."""
        position = 0
        while True:
            while position < self.size:
                piece = await self._read(position)
                position += len(piece)
                yield piece
            if self.whole:
                return
            await self._change()

    async def _read(self, position: int) -> bytes:
        if self._file is None:
            return bytes(self._content[position : position + _PIECE])
        length = min(_PIECE, self.size - position)
        piece = bytearray(length)
        try:
            return bytes(piece[: os.preadv(self._file, [piece], position, os.RWF_NOWAIT)])  # it is in memory yet
        except OSError:  # it must be read from the disk, or this file system cannot tell
            return await asyncio.to_thread(os.pread, self._file, length, position)

    async def _change(self) -> None:
        if self._failed is not None:
            raise Unavailable("the SuperLink's answer broke off", hint="try again") from self._failed
        await self._changed.wait()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
