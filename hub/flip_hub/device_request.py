"""The two requests that devices make all the time, read from a connection's bytes when they are quite plain.

Plain is: one of the two request lines as agents write them, each header once and on a line of its own, a body of the
length that is said, and nothing after it. Whatever else comes is for uvicorn to read, from its first byte.
"""

import re
from enum import Enum, auto
from typing import NamedTuple

LONGEST_HEAD = 8 * 2**10
LARGEST_BODY = 64 * 2**10
"""Bytes; a larger batch is read as it comes, by uvicorn."""
LONGEST_WAIT = 60.0

TELEMETRY_BEGINS = b"POST /api/v1/device/telemetry "
_BEGINNINGS = (TELEMETRY_BEGINS, b"GET /api/v1/device/desired?")
_TELEMETRY = b"POST /api/v1/device/telemetry HTTP/1.1"
_DESIRED = re.compile(rb"GET /api/v1/device/desired\?after=(\d{1,18})&wait=(\d{1,2}(?:\.\d{1,3})?) HTTP/1\.1")
_NOT_PLAIN = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"te", b"trailer"})


class Unread(Enum):
    OTHER = auto()
    """Something else."""
    PARTIAL = auto()
    """Perhaps the beginning of one."""


class DeviceRequest(NamedTuple):
    headers: dict[bytes, bytes]
    """Names in lower case."""
    body: bytes
    poll: tuple[int, float] | None
    """Of a long poll: after which generation, and how many seconds to wait. None for telemetry."""


def read_request(data: bytes) -> DeviceRequest | Unread:
    """All of `data`, or nothing of it."""
    if not data.startswith(_BEGINNINGS):
        return Unread.OTHER
    end = data.find(b"\r\n\r\n", 0, LONGEST_HEAD)
    if end < 0:
        return Unread.PARTIAL if len(data) < LONGEST_HEAD else Unread.OTHER
    head = data[:end]
    line, *lines = head.split(b"\r\n")
    headers = None if b"\0" in head or not head.count(b"\n") == head.count(b"\r") == len(lines) else _headers(lines)
    said = b"" if headers is None else headers.get(b"content-length", b"0")
    if headers is None or not said.isdigit() or len(said) > 6 or int(said) > LARGEST_BODY:
        return Unread.OTHER
    left = end + 4 + int(said) - len(data)
    if left > 0:
        return Unread.PARTIAL
    if left == 0 and line == _TELEMETRY:
        return DeviceRequest(headers, data[end + 4 :], None)
    asked = _DESIRED.fullmatch(line)
    if left < 0 or said != b"0" or asked is None or float(asked[2]) > LONGEST_WAIT:
        return Unread.OTHER
    return DeviceRequest(headers, b"", (int(asked[1]), float(asked[2])))


def _headers(lines: list[bytes]) -> dict[bytes, bytes] | None:
    """None when one of them is not plain."""
    try:
        headers = {name.lower(): value for name, value in [line.split(b": ", 1) for line in lines]}
    except ValueError:
        return None
    if len(headers) < len(lines) or b"" in headers or not b"".join(headers).replace(b"-", b"").isalnum():
        return None
    if not _NOT_PLAIN.isdisjoint(headers) or headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    return headers
