"""An event as the outbox keeps it: stamped when it came, as JSON, without its number, which its place tells."""

import time
import uuid
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct

from flip_wire.telemetry import Event, Seq, Stamp

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine sleeps, where there is such a clock."""


class DeviceClock:
    def __init__(self) -> None:
        self._boot_id = _boot_id()

    def stamp(self) -> Stamp:
        return Stamp(wall=time.time(), monotonic=time.clock_gettime(_CLOCK), boot_id=self._boot_id)


class _Stored(Struct, frozen=True, kw_only=True):
    kind: str
    at: Stamp
    body: Any


class _Read(Struct, frozen=True, kw_only=True):
    kind: str
    at: Stamp
    body: Raw


def encode_event(kind: str, at: Stamp, body: Struct | Raw) -> bytes:
    return msgspec.json.encode(_Stored(kind=kind, at=at, body=body))


def decode_event(seq: Seq, line: bytes) -> Event:
    stored = msgspec.json.decode(line, type=_Read)
    return Event(seq=seq, kind=stored.kind, at=stored.at, body=stored.body)


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:  # not Linux: this process's life stands in for the machine's
        return str(uuid.uuid4())
