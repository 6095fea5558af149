"""Replies wait for their strategy on disk: what a round collects does not lie in memory.

A strategy gets them as ever; an array's bytes are read whenever it asks for them (`LazyArray`), and not kept. So of one
that adds updates to a sum a single array is in memory, of any other what it makes of them itself. The arrays that
devices began with, and weights on their way to the hub, lie here in the same way. A file is gone when nothing
refers to its arrays any more, or when the next process begins: after a crash devices give again what no checkpoint
holds.
"""

import contextlib
import itertools
import logging
import os
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from flwr.app import Array, ArrayRecord, Message
from msgspec import Struct

from flip_hub.federation.aggregator.strategies.lazy_array import LazyArray, size_of

log = logging.getLogger("flwr.flip")

SUFFIX = ".spooled"
SMALL = 256 * 1024
"""Bytes of arrays up to which a reply stays in memory."""


_CHUNK = 2**20


class Place(Struct, frozen=True):
    """In a file."""

    begin: int
    size: int


class Spool:
    def __init__(self, folder: Path) -> None:
        """The folder exists, and belongs to one process at a time."""
        self._folder = folder
        self._full = False
        self._numbers = itertools.count(1)
        for path in folder.glob(f"*{SUFFIX}"):
            path.unlink(missing_ok=True)

    def put(self, reply: Message) -> Message:
        """The same message; its arrays are on disk, unless they are small or there is no room for them."""
        records = list(reply.content.array_records.values()) if reply.has_content() else []
        in_memory = [array for record in records for array in record.values() if not isinstance(array, LazyArray)]
        if sum(len(array.data) for array in in_memory) > SMALL:
            with self.filling(reply.metadata.reply_to_message_id) as file:
                for record in records:
                    for name, array in list(record.items()):
                        record[name] = file.array(array)
        return reply

    def copy(self, arrays: Mapping[str, Array]) -> ArrayRecord:
        """The same arrays, on disk, unless they are small or there is no room for them."""
        record = ArrayRecord()
        if sum(size_of(array) for array in arrays.values()) <= SMALL:
            for name, array in arrays.items():
                record[name] = array
            return record
        with self.filling("base") as file:
            for name, array in arrays.items():
                record[name] = file.array(array)
        return record

    def written(self, name: str, write: Callable[[Path], None]) -> "SpoolFile":
        """A new file of what `write` puts there. Raises what that raises."""
        file = SpoolFile(self._new(name), self)
        write(file.path)
        return file

    @contextmanager
    def filling(self, name: str) -> "Generator[SpoolFile]":
        """A new file, which takes bytes until the end of the block."""
        file = SpoolFile(self._new(name), self)
        with file.opened():
            yield file

    def _new(self, name: str) -> Path:
        return self._folder / f"{name}-{next(self._numbers)}{SUFFIX}"

    def no_room(self, error: OSError) -> None:
        if not self._full:
            log.warning("replies stay in memory: %s", str(error))  # the error itself refers to the file
        self._full = True


class SpoolFile:
    """Removed with the last reference to it."""

    def __init__(self, path: Path, spool: Spool) -> None:
        self.path = path
        self._spool = spool
        self._end = 0
        self._handle = -1
        weakref.finalize(self, _remove, path)

    @contextmanager
    def opened(self) -> Generator[None]:
        try:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            self._spool.no_room(error)
            yield
            return
        try:
            yield
        finally:
            os.close(self._handle)
            self._handle = -1

    @property
    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size

    def chunks(self) -> Iterator[bytes]:
        """All of it."""
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def array(self, array: Array) -> Array:
        """The same, from disk; as it was where it is lazy already, or there is no room."""
        if isinstance(array, LazyArray):
            return array
        content = array.data
        place = self.add(content)
        if not isinstance(place, Place):
            return array
        return self.lazy(array.dtype, tuple(array.shape), array.stype, [place])

    def add(self, content: bytes | memoryview) -> Place | bytes:
        """Where it is; the bytes themselves where there is no room."""
        place, view = Place(self._end, len(content)), memoryview(content)
        try:
            while view:
                written = os.pwrite(self._handle, view, self._end)
                view, self._end = view[written:], self._end + written
        except OSError as error:
            self._end = place.begin
            self._spool.no_room(error)
            return bytes(content)
        return place

    def lazy(
        self, dtype: str, shape: tuple[int, ...], stype: str, pieces: Sequence[Place | bytes], object_id: str = ""
    ) -> LazyArray:
        """An array of what `add` gave."""
        size = sum(piece.size if isinstance(piece, Place) else len(piece) for piece in pieces)
        fetch = partial(self._read, _joined(pieces))
        return LazyArray(dtype, shape, fetch, stype, size=size, object_id=object_id)

    def _read(self, pieces: Sequence[Place | bytes]) -> bytes:
        found = [piece if isinstance(piece, bytes) else self._at(piece) for piece in pieces]
        return found[0] if len(found) == 1 else b"".join(found)

    def _at(self, place: Place) -> bytes:
        with self.path.open("rb") as file:
            file.seek(place.begin)
            return file.read(place.size)


def _joined(pieces: Sequence[Place | bytes]) -> list[Place | bytes]:
    """Those that lie behind each other are one."""
    joined: list[Place | bytes] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if isinstance(piece, Place) and isinstance(last, Place) and last.begin + last.size == piece.begin:
            joined[-1] = Place(last.begin, last.size + piece.size)
        else:
            joined.append(piece)
    return joined


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
