"""The part of a file that an HTTP `Range` header asks for (RFC 9110, section 14); one part, in bytes."""

import re

from msgspec import Struct

_ONE_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


class Part(Struct, frozen=True):
    """From `start` up to, not including, `stop`."""

    start: int
    stop: int


class Unsatisfiable(Exception):
    """No byte of the file is in the range."""


def part_of(header: str | None, size: int) -> Part | None:
    """None when the whole file is to be sent: no header, another unit, several ranges, or nonsense.

    Raises `Unsatisfiable`.
    """
    match = _ONE_RANGE.fullmatch(header.strip()) if header else None
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        start, stop = max(0, size - int(match[2])), size
    else:
        start = int(match[1])
        stop = size if match[2] == "" else min(size, int(match[2]) + 1)
        if match[2] and int(match[2]) < start:
            return None
    if start >= stop:
        raise Unsatisfiable
    return Part(start, stop)
