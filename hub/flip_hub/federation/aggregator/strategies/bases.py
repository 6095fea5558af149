"""The versions of the model that devices are still at work on: an update is measured against the one it began with.

They may be as many as the largest staleness that still counts, so they lie on the disk (`FolderBases`), and are read
when an update needs them, one array at a time.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Protocol
from zlib import crc32

import msgspec
from flwr.app import Array, ArrayRecord
from msgspec import Struct

from flip_runtime.atomic import write_pieces
from flip_runtime.errors import Corrupt

_LENGTH = 8
_START = _LENGTH + 4
_NAME = re.compile(r"(\d{1,12})\.base")


class Bases(Protocol):
    def keep(self, version: int, arrays: ArrayRecord) -> None:
        """Until it is forgotten; one that is there already is the same."""
        ...

    def arrays(self, version: int) -> Iterator[tuple[str, Array]]:
        """One at a time. Raises `Corrupt`, on the way, when it is not there or damaged."""
        ...

    def forget_all_but(self, versions: Collection[int]) -> None: ...


class MemoryBases:
    """For a simulation, or models that are small."""

    def __init__(self) -> None:
        self._versions: dict[int, ArrayRecord] = {}

    def keep(self, version: int, arrays: ArrayRecord) -> None:
        self._versions[version] = arrays

    def arrays(self, version: int) -> Iterator[tuple[str, Array]]:
        if version not in self._versions:
            raise _gone(version)
        yield from self._versions[version].items()

    def forget_all_but(self, versions: Collection[int]) -> None:
        self._versions = {version: arrays for version, arrays in self._versions.items() if version in versions}


class FolderBases:
    """VERSION.base: each there whole or not at all, with checksums; a ServerApp that goes on finds them again.

    Length of the head (8 bytes, big endian) and its CRC-32 (4), the head (MessagePack), the arrays' bytes.
    """

    def __init__(self, folder: Path) -> None:
        """The folder exists, and belongs to one run."""
        self._folder = folder

    def keep(self, version: int, arrays: ArrayRecord) -> None:
        """Returns when it is on disk. Raises `OSError`."""
        path = self._path(version)
        if not path.exists():
            write_pieces(path, _packed(arrays))

    def arrays(self, version: int) -> Iterator[tuple[str, Array]]:
        try:
            with self._path(version).open("rb") as file:
                whole, start = os.fstat(file.fileno()).st_size, file.read(_START)
                head = file.read(min(int.from_bytes(start[:_LENGTH], "big"), whole))
                if len(start) < _START or crc32(head) != int.from_bytes(start[_LENGTH:], "big"):
                    raise _damaged(version)
                for each in msgspec.msgpack.decode(head, type=list[_Head]):
                    content = file.read(each.size)
                    if crc32(content) != each.crc:
                        raise _damaged(version)
                    yield each.name, Array(each.dtype, each.shape, each.stype, content)
        except FileNotFoundError:
            raise _gone(version) from None

    def forget_all_but(self, versions: Collection[int]) -> None:
        for path in self._folder.iterdir():
            found = _NAME.fullmatch(path.name)
            if found is not None and int(found[1]) not in versions:
                path.unlink(missing_ok=True)

    def _path(self, version: int) -> Path:
        return self._folder / f"{version}.base"


class _Head(Struct, frozen=True, array_like=True):
    name: str
    dtype: str
    shape: tuple[int, ...]
    stype: str
    size: int
    crc: int
    """CRC-32 of its bytes."""


def record_of(arrays: Iterable[tuple[str, Array]]) -> ArrayRecord:
    record = ArrayRecord()
    for name, array in arrays:
        record[name] = array
    return record


def _packed(arrays: ArrayRecord) -> Iterator[bytes]:
    heads = [
        _Head(name, each.dtype, tuple(each.shape), each.stype, len(each.data), crc32(each.data))
        for name, each in arrays.items()
    ]
    head = msgspec.msgpack.encode(heads)
    yield len(head).to_bytes(_LENGTH, "big") + crc32(head).to_bytes(4, "big")
    yield head
    for array in arrays.values():
        yield array.data


def _gone(version: int) -> Corrupt:
    return Corrupt(f"version {version} of the model is not kept any more")


def _damaged(version: int) -> Corrupt:
    return Corrupt(f"version {version} of the model is damaged")
