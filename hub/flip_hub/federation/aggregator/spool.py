"""Replies wait for their strategy on disk: what a round collects does not lie in memory.

A strategy gets them as ever; an array's bytes are read whenever it asks for them (`LazyArray`), and not kept. So of one
that adds updates to a sum a single array is in memory, of any other what it makes of them itself. A reply's file is
gone when nothing refers to its arrays any more, or when the next process begins: after a crash devices give again what
no checkpoint holds.
"""

import contextlib
import logging
import os
import weakref
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from flwr.app import ArrayRecord, Message

from flip_hub.federation.aggregator.strategies.lazy_array import LazyArray

log = logging.getLogger("flwr.flip")

SUFFIX = ".reply"
SMALL = 256 * 1024
"""Bytes of arrays up to which a reply stays in memory."""


class Spool:
    def __init__(self, folder: Path) -> None:
        """The folder exists, and belongs to one process at a time."""
        self._folder = folder
        self._full = False
        for path in folder.glob(f"*{SUFFIX}"):
            path.unlink(missing_ok=True)

    def put(self, reply: Message) -> Message:
        """The same message; its arrays are on disk, unless they are small or there is no room for them."""
        records = list(reply.content.array_records.values()) if reply.has_content() else []
        if sum(len(array.data) for record in records for array in record.values()) <= SMALL:
            return reply
        path = self._folder / f"{reply.metadata.reply_to_message_id}{SUFFIX}"
        try:
            _write(path, records)
        except OSError as error:
            path.unlink(missing_ok=True)
            if not self._full:
                log.warning("replies stay in memory: %s", error)
            self._full = True
            return reply
        file, begin = _File(path), 0
        for record in records:
            for name, array in list(record.items()):
                size = len(array.data)
                record[name] = LazyArray(array.dtype, tuple(array.shape), partial(file.read, begin, size), array.stype)
                begin += size
        return reply


class _File:
    """Removed with the last reference to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        weakref.finalize(self, _remove, path)

    def read(self, begin: int, size: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(begin)
            return file.read(size)


def _write(path: Path, records: Sequence[ArrayRecord]) -> None:
    with path.open("wb") as file:
        file.writelines(array.data for record in records for array in record.values())


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
