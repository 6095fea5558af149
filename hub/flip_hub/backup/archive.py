"""The file of a backup: one zstd stream of records, from a header to an end that holds the SHA-256 of all before it.

    record = length of the description (4 bytes, big endian), description (MessagePack), length of the content, content

Documents are BSON, one after the other, as MongoDB gave them. A file without its end, or with one byte that is another,
is no backup. Reading and writing take a few MiB of memory, however large the registry is.
"""

import hashlib
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec
import zstandard
from msgspec import Struct

from flip_hub.audit.head import Head
from flip_runtime.atomic import sync_folder
from flip_runtime.errors import ConfigError, Corrupt
from flip_wire.models import Sha256

FORMAT = 1
_LONGEST_DESCRIPTION = 2**20
_LONGEST_CONTENT = 2**26
"""Bytes; a batch of documents has at most 16 MiB and one document."""
_LEVEL = 3


class Header(Struct, frozen=True, kw_only=True, tag=True):
    format: int = FORMAT
    schema: int
    """Version of the registry's schema."""
    hub: str
    """Version of the hub that took it."""
    taken_at: float
    with_artifacts: bool


class Batch(Struct, frozen=True, kw_only=True, tag=True):
    """Its content is documents."""

    collection: str


class FilePart(Struct, frozen=True, kw_only=True, tag=True):
    """Its content belongs to that artifact, after the part before; of each at least one, the last one marked."""

    folder: str
    sha256: Sha256
    last: bool


class End(Struct, frozen=True, kw_only=True, tag=True):
    documents: dict[str, int]
    """By collection."""
    files: int
    """Artifacts that are in it."""
    audit: Head
    """How far the audit's chain goes in it."""
    sha256: str
    """Of all records before this one."""


Description = Header | Batch | FilePart | End


class Writer:
    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._hash = hashlib.sha256()
        self.documents: dict[str, int] = {}
        self.files = 0

    def begin(self, header: Header) -> None:
        self._write(header)

    def add(self, collection: str, documents: bytes) -> None:
        self._write(Batch(collection=collection), documents)
        self.documents[collection] = self.documents.get(collection, 0) + count_documents(documents)

    def add_part(self, part: FilePart, content: bytes) -> None:
        self._write(part, content)
        self.files += part.last

    def end(self, audit: Head) -> End:
        end = End(documents=self.documents, files=self.files, audit=audit, sha256=self._hash.hexdigest())
        self._write(end)
        return end

    def _write(self, description: Description, content: bytes = b"") -> None:
        encoded = msgspec.msgpack.encode(description)
        for part in (_length(encoded), encoded, _length(content), content):
            self._hash.update(part)
            self._out.write(part)


@contextmanager
def writing(path: Path) -> Generator[Writer]:
    """The file is there under its name once it is whole, for its owner's eyes only."""
    part = path.with_name(f".{path.name}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            packer = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
            with packer.stream_writer(file, closefd=False) as out:
                yield Writer(out)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.absolute().parent)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", hint="name a file on a disk with room") from error
    finally:
        part.unlink(missing_ok=True)


def read_header(path: Path) -> Header:
    """Raises `ConfigError` for a file that cannot be read or is of a newer hub, `Corrupt` for what is no backup."""
    for description, _ in read_archive(path):
        if isinstance(description, Header):
            return description
        break
    raise Corrupt(f"{path} is no backup of a FLIP hub")


def read_archive(path: Path) -> Iterator[tuple[Description, bytes]]:
    """Raises as `read_header` does, and `Corrupt` at the end of what is whole; it is whole if `End` has come."""
    try:
        with open(path, "rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as packed:
            yield from _records(path, packed)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (zstandard.ZstdError, msgspec.DecodeError, EOFError) as error:
        hint = "take it from where it was copied, or use an earlier one"
        raise Corrupt(f"{path} is damaged, or was cut off, or is no backup", hint=hint) from error


def _records(path: Path, packed: BinaryIO) -> Iterator[tuple[Description, bytes]]:
    so_far = hashlib.sha256()
    while True:
        length = _exactly(packed, 4)
        encoded = _exactly(packed, _bounded(length, _LONGEST_DESCRIPTION))
        description = _described(path, encoded)
        content_length = _exactly(packed, 4)
        content = _exactly(packed, _bounded(content_length, _LONGEST_CONTENT))
        if isinstance(description, End):
            if description.sha256 != so_far.hexdigest() or packed.read(1):
                raise EOFError
            yield description, content
            return
        for part in (length, encoded, content_length, content):
            so_far.update(part)
        yield description, content


def _described(path: Path, encoded: bytes) -> Description:
    description = msgspec.msgpack.decode(encoded, type=Description)
    if isinstance(description, Header) and description.format > FORMAT:
        raise ConfigError(f"{path} was taken by a newer hub ({description.hub})", hint="restore it with that version")
    return description


def count_documents(documents: bytes) -> int:
    """Each begins with its length (BSON)."""
    count, at = 0, 0
    while at < len(documents):
        at += int.from_bytes(documents[at : at + 4], "little")
        count += 1
    return count


def _length(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big")


def _bounded(length: bytes, most: int) -> int:
    number = int.from_bytes(length, "big")
    if number > most:
        raise EOFError
    return number


def _exactly(packed: BinaryIO, length: int) -> bytes:
    parts: list[bytes] = []
    while length:
        part = packed.read(length)
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
