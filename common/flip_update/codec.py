"""An update as few bytes: its difference from the instruction's arrays in 8 or 4 bits, or its largest entries alone.

    head  1 byte codec (and whether the body is compressed), 4 bytes fingerprint of the base,
          for `topk` 4 bytes how many entries; all little-endian
    body  scales, numbers, for `topk` positions, then the arrays that are not of floating point, whole

What a form leaves out is the residual, which joins the next update of the same device (error feedback: Seide et al.,
1-bit stochastic gradient descent, 2014; Karimireddy et al., Error feedback fixes SignSGD, 2019). The same input gives
the same bytes. What comes in is bounded by the base it is for, whatever it says of itself.
"""

import math
import struct
from typing import Any, Final, NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from flip_runtime.errors import Rejected
from flip_update import positions
from flip_update.base import Arrays, Base, Row
from flip_update.quantisation import SCALE, packed, packed_bytes, quantised, restored, starts_of, unpacked
from flip_wire.terms import UpdateForm

_HEAD = struct.Struct("<BI")
_COUNT = struct.Struct("<I")
_CODECS: Final = {"int8": 1, "int4": 2, "topk": 3}
_COMPRESSED: Final = 0x80
_BITS: Final = {1: 8, 2: 4, 3: 8}
_TOPK: Final = _CODECS["topk"]
_MOST: Final = 2**31
"""Entries of a model."""


class Encoded(NamedTuple):
    content: bytes
    residual: Row
    """What `content` leaves out."""


def encode(update: Arrays, base: Base, residual: Row | None, form: UpdateForm) -> Encoded:
    """`residual` as it was given with this device's update before, None at first.

    Raises `Rejected` that names the array when the update has other arrays than the base, or is not finite.
    """
    base.check(update)
    if base.entries > _MOST:
        raise Rejected(f"the model has {base.entries} entries", hint=f"{_MOST} can be packed")
    wanted = base.difference(update)
    if residual is not None:
        wanted += residual
    number = _CODECS[form.codec]
    kept = _largest(wanted, form.share) if number == _TOPK else None
    row = wanted if kept is None else wanted[kept]
    starts = starts_of(_sizes(base, kept), _BITS[number])
    scales, numbers = quantised(row, starts, _BITS[number])
    sent = restored(scales, numbers, starts)
    if kept is None:
        wanted -= sent
    else:
        wanted[kept] -= sent
    where = b"" if kept is None else positions.encoded(kept, base.entries)
    body = scales.astype(SCALE).tobytes() + packed(numbers, _BITS[number]) + where + base.exact_of(update)
    count = b"" if kept is None else _COUNT.pack(kept.size)
    return Encoded(_head(number, base, body, count), wanted)


def decode(content: bytes, base: Base) -> dict[str, NDArray[Any]]:
    """The update's arrays, named and ordered as the base's. Raises `Rejected` for whatever `encode` has not made."""
    number, count, body = _opened(content, base)
    bits = _BITS[number]
    kept_sizes = np.array([count], np.int64) if number == _TOPK else base.sizes
    starts = starts_of(kept_sizes, bits)
    ends = np.cumsum([starts.size * SCALE.itemsize, packed_bytes(count, bits), _positions_bytes(number, count, base)])
    scales = np.frombuffer(body[: ends[0]], SCALE).astype(np.uint16)
    row = restored(scales, unpacked(body[ends[0] : ends[1]], count, bits), starts)
    if number == _TOPK:
        whole = np.zeros(base.entries, np.float32)
        whole[positions.decoded(body[ends[1] : ends[2]], count, base.entries)] = row
        row = whole
    arrays = base.plus(row) | base.exact_from(body[ends[2] :])
    return {name: arrays[name] for name in base.arrays}


def _sizes(base: Base, kept: positions.Positions | None) -> NDArray[np.int64]:
    return base.sizes if kept is None else np.array([kept.size], np.int64)


def _largest(row: Row, share: float) -> positions.Positions:
    """Where the largest entries are; of equals the first."""
    count = min(row.size, max(1, math.ceil(share * row.size)))
    if count == row.size:
        return np.arange(count)
    size = np.abs(row)
    least = np.partition(size, row.size - count)[row.size - count]
    above = np.flatnonzero(size > least)
    equal = np.flatnonzero(size == least)[: count - above.size]
    return np.sort(np.concatenate([above, equal]))


def _head(number: int, base: Base, body: bytes, count: bytes) -> bytes:
    small = zstandard.ZstdCompressor(level=3).compress(body)
    flag = _COMPRESSED if len(small) < len(body) else 0
    return _HEAD.pack(number | flag, base.fingerprint) + count + (small if flag else body)


def _opened(content: bytes, base: Base) -> tuple[int, int, memoryview]:
    """Codec, number of entries, and the body, which has the length that both demand."""
    if len(content) < _HEAD.size:
        raise Rejected(f"an update of {len(content)} bytes")
    kind, fingerprint = _HEAD.unpack_from(content)
    number, rest = kind & ~_COMPRESSED, content[_HEAD.size :]
    if number not in _BITS:
        raise Rejected(f"an update in form {number}, which is not known", hint="update the hub")
    if fingerprint != base.fingerprint:
        raise Rejected("the update is a difference from other arrays than those of its instruction")
    count = base.entries
    if number == _TOPK:
        if len(rest) < _COUNT.size:
            raise Rejected(f"an update of {len(content)} bytes")
        (count,), rest = _COUNT.unpack_from(rest), rest[_COUNT.size :]
        if count > base.entries:
            raise Rejected(f"an update with {count} entries for a model of {base.entries}")
    size = _body_bytes(number, count, base)
    body = _inflated(rest, size) if kind & _COMPRESSED else rest
    if len(body) != size:
        raise Rejected(f"the update's body has {len(body)} bytes, not {size}")
    return number, count, memoryview(body)


def _body_bytes(number: int, count: int, base: Base) -> int:
    bits = _BITS[number]
    sizes = np.array([count], np.int64) if number == _TOPK else base.sizes
    scales = starts_of(sizes, bits).size * SCALE.itemsize
    return scales + packed_bytes(count, bits) + _positions_bytes(number, count, base) + base.exact_bytes


def _positions_bytes(number: int, count: int, base: Base) -> int:
    return positions.encoded_bytes(count, base.entries) if number == _TOPK else 0


def _inflated(content: bytes, size: int) -> bytes:
    """Never more than `size`, whatever the frame says."""
    try:
        if zstandard.frame_content_size(content) != size:
            raise Rejected(f"the update's body does not unpack to {size} bytes")
        return zstandard.ZstdDecompressor().decompress(content, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Rejected(f"the update's body is no zstd: {error}") from error
