"""One row of the outbox: events of one class that share a commit, their range twice, and a checksum.

    row      first  count  size  content  crc
    content  8 bytes first, 4 bytes count (big-endian), then the events, one JSON object a line
    crc      CRC-32 of content

The lines of the bulk classes (health, log) are one zstd frame: 100 events of 300 bytes take a quarter of the space.
Alerts and federation events stand alone and plain. The numbers are contiguous, so `first` and `count` name each event;
they stand in columns, to be found, and under the checksum, to be believed: whichever of the two rots, the other tells
how much was lost. `size` (bytes of the lines) bounds what is read at once. No event of a row that rotted is given out.
"""

import struct
import threading
import zlib
from collections.abc import Sequence

import zstandard
from msgspec import Struct

from flip_wire.telemetry import Priority, Seq

MOST = 1024
"""Events of one block."""
BULK = frozenset({Priority.HEALTH, Priority.LOG})
_HEAD = struct.Struct(">qI")
_ZSTD = b"\x28\xb5\x2f\xfd"
"""Begins every zstd frame, and no JSON."""
_LEVEL = zstandard.ZstdCompressionParameters.from_level(1, source_size=2**16)
"""Small: its tables fit a commit of 64 KiB."""
_LARGEST = 64 * 2**20
"""Bytes; no block is larger once it is unpacked."""


class _Sealer(threading.local):
    """Made once a thread: two that compress with the same one break the process's memory."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(compression_params=_LEVEL).compress


_SEALER = _Sealer()


class Row(Struct, frozen=True):
    """As it is stored."""

    first: int
    count: int
    size: int
    content: bytes
    crc: int


class Block(Struct, frozen=True, kw_only=True):
    """As it is read. Of a damaged one the range is what can still be known."""

    first: Seq
    count: int
    events: list[bytes] | None
    """None when it is damaged."""

    @property
    def last(self) -> Seq:
        return Seq(self.first + self.count - 1)


def seal(first: Seq, events: Sequence[bytes], *, bulk: bool) -> Row:
    """At most `MOST` events, none with a newline in it (JSON has none)."""
    lines = b"\n".join(events)
    body = _SEALER.compress(lines) if bulk else lines
    content = _HEAD.pack(first, len(events)) + body
    return Row(first, len(events), len(lines), content, zlib.crc32(content))


def unseal(row: Row) -> Block:
    if zlib.crc32(row.content) != row.crc or len(row.content) < _HEAD.size:
        return Block(first=Seq(row.first), count=row.count if 1 <= row.count <= MOST else 1, events=None)
    first, count = _HEAD.unpack_from(row.content)
    if (first, count) != (row.first, row.count):
        return Block(first=Seq(first), count=count, events=None)
    return Block(first=Seq(first), count=count, events=_lines(row.content[_HEAD.size :]))


def _lines(body: bytes) -> list[bytes]:
    if body.startswith(_ZSTD):
        body = zstandard.ZstdDecompressor().decompress(body, max_output_size=_LARGEST)
    return body.split(b"\n")
