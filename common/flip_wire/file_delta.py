"""A file as its difference from another one that the device holds: without loss, and smaller for weights that have
moved a little.

    head    8 bytes magic, 8 bytes length of the file, 1 byte width of its numbers; little-endian
    blocks  4 bytes length, then one zstd frame, for each `BLOCK` bytes of the file

In a frame lie the bytes of the block xor those at the same place of the other file (0 beyond its end), sorted by their
place in a number: signs and exponents of most weights are as before, so their bytes are 0. Whoever applies it compares
the result's hash with one that it trusts.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

import zstandard
from msgspec import Struct

from flip_wire.models import Sha256

BLOCK: Final = 2**18
"""Bytes: what is held in memory at once is a few times as much."""
WIDTHS: Final = (4, 2, 8, 1)
"""Bytes of a number, the most common first."""
_MAGIC: Final = b"flipxor1"
_HEAD = struct.Struct("<8sQB")
_LENGTH = struct.Struct("<I")


class FileDelta(Struct, frozen=True, kw_only=True):
    """`GET /api/v1/device/artifacts/{sha256}/delta/{base}`: an artifact that makes one file of the other."""

    sha256: Sha256
    size: int
    """Bytes."""


def head(size: int, width: int) -> bytes:
    return _HEAD.pack(_MAGIC, size, width)


def block(base: bytes, new: bytes, width: int) -> bytes:
    """Of at most `BLOCK` bytes each, from the same place of both files."""
    frame = zstandard.ZstdCompressor(level=3).compress(_sorted(_xor(base, new), width))
    return _LENGTH.pack(len(frame)) + frame


def applied(base: BinaryIO, delta: BinaryIO, size: int) -> Iterator[bytes]:
    """The file, block by block. Raises `ValueError` when the delta is none, or of a file of another size."""
    magic, told, width = _HEAD.unpack(_exactly(delta, _HEAD.size))
    if magic != _MAGIC or told != size or width not in WIDTHS:
        raise ValueError("no delta, or of another file")
    unpack = zstandard.ZstdDecompressor()
    for start in range(0, size, BLOCK):
        length = min(BLOCK, size - start)
        (packed,) = _LENGTH.unpack(_exactly(delta, _LENGTH.size))
        if packed > 2 * BLOCK:
            raise ValueError("a block of the delta is too large")
        frame = _exactly(delta, packed)
        try:
            if zstandard.frame_content_size(frame) != length:
                raise ValueError("a block of the delta has another length")
            plain = unpack.decompress(frame, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise ValueError(f"a block of the delta is no zstd: {error}") from error
        yield _xor(base.read(length), _unsorted(plain, width))
    if delta.read(1):
        raise ValueError("the delta has more behind its end")


def _xor(base: bytes, new: bytes) -> bytes:
    """As long as `new`. Python's whole numbers do this at memory's speed, and the agent holds no NumPy."""
    other = int.from_bytes(base[: len(new)], "little")
    return (int.from_bytes(new, "little") ^ other).to_bytes(len(new), "little")


def _sorted(content: bytes, width: int) -> bytes:
    whole = len(content) // width * width
    return b"".join([*(content[place:whole:width] for place in range(width)), content[whole:]])


def _unsorted(content: bytes, width: int) -> bytes:
    count = len(content) // width
    out = bytearray(content)
    for place in range(width):
        out[place : count * width : width] = content[place * count : (place + 1) * count]
    return bytes(out)


def _exactly(file: BinaryIO, size: int) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise ValueError("the delta ends early")
    return content
