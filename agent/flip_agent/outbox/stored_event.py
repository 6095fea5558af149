"""An event as the outbox keeps it: stamped when it came, as JSON, without its number, which its place tells."""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from flip_wire.telemetry import Event, Seq, Stamp


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
