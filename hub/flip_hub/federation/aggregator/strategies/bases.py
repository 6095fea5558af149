"""The versions of the model that devices are still at work on: an update is measured against the one it began with.

They may be as many as the largest staleness that still counts, so they lie on the disk (`FolderBases`), and are read
when an update needs them; only one is in memory at a time.
"""

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol
from zlib import crc32

import msgspec
from flwr.app import Array, ArrayRecord
from msgspec import Struct

from flip_runtime.atomic import write_pieces
from flip_runtime.errors import Corrupt

_LENGTH = 8
_CRC = 4
_NAME = re.compile(r"(\d{1,12})\.base")


class Bases(Protocol):
    def keep(self, version: int, arrays: ArrayRecord) -> None:
        """Until it is forgotten; one that is there already is the same."""
        ...

    def load(self, version: int) -> ArrayRecord:
        """Raises `Corrupt` when it is not there, or damaged."""
        ...

    def forget_all_but(self, versions: Collection[int]) -> None: ...


class MemoryBases:
    """For a simulation, or models that are small."""

    def __init__(self) -> None:
        self._versions: dict[int, ArrayRecord] = {}

    def keep(self, version: int, arrays: ArrayRecord) -> None:
        self._versions[version] = arrays

    def load(self, version: int) -> ArrayRecord:
        try:
            return self._versions[version]
        except KeyError:
            raise _gone(version) from None

    def forget_all_but(self, versions: Collection[int]) -> None:
        self._versions = {version: arrays for version, arrays in self._versions.items() if version in versions}


class FolderBases:
    """VERSION.base: each there whole or not at all, with a checksum; a ServerApp that goes on finds them again.

    Length of the head (8 bytes, big endian), head (MessagePack), the arrays' bytes, CRC-32 of all that.
    """

    def __init__(self, folder: Path) -> None:
        """The folder exists, and belongs to one run."""
        self._folder = folder

    def keep(self, version: int, arrays: ArrayRecord) -> None:
        """Returns when it is on disk. Raises `OSError`."""
        path = self._path(version)
        if not path.exists():
            write_pieces(path, _packed(arrays))

    def load(self, version: int) -> ArrayRecord:
        try:
            with self._path(version).open("rb") as file:
                whole, length = os.fstat(file.fileno()).st_size, file.read(_LENGTH)
                head = file.read(min(int.from_bytes(length, "big"), whole))
                crc, record = crc32(head, crc32(length)), ArrayRecord()
                for each in msgspec.msgpack.decode(head, type=list[_Head]):
                    content = file.read(min(each.size, whole))
                    crc = crc32(content, crc)
                    record[each.name] = Array(each.dtype, each.shape, each.stype, content)
                if file.read() != crc.to_bytes(_CRC, "big"):
                    raise Corrupt(f"version {version} of the model is damaged")
                return record
        except FileNotFoundError:
            raise _gone(version) from None
        except msgspec.DecodeError as error:
            raise Corrupt(f"version {version} of the model is damaged") from error

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


def _packed(arrays: ArrayRecord) -> Iterator[bytes]:
    heads = [_Head(name, each.dtype, tuple(each.shape), each.stype, len(each.data)) for name, each in arrays.items()]
    head = msgspec.msgpack.encode(heads)
    crc = 0
    for piece in (len(head).to_bytes(_LENGTH, "big"), head):
        crc = crc32(piece, crc)
        yield piece
    for array in arrays.values():
        crc = crc32(array.data, crc)
        yield array.data
    yield crc.to_bytes(_CRC, "big")


def _gone(version: int) -> Corrupt:
    return Corrupt(f"version {version} of the model is not kept any more")
