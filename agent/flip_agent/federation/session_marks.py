"""When the steps of a message began: part of `session.db`, written together with the step, so that the times outlive
the process and the machine's power. A damaged one counts as not known."""

import uuid
from sqlite3 import Connection
from typing import Any
from zlib import crc32

import msgspec

from flip_agent.device_clock import DeviceClock
from flip_agent.federation.steps import Step
from flip_agent.federation.timeline import PARTS, Mark

SCHEMA = """
create table if not exists mark (
    message_id text not null, step text not null, body blob not null, crc integer not null,
    primary key (message_id, step)
) without rowid;
"""
_KEEP = "insert or ignore into mark (message_id, step, body, crc) values (?, ?, ?, ?)"


class SessionMarks:
    def __init__(self) -> None:
        self._clock = DeviceClock()
        self._life = uuid.uuid4().hex

    def now(self, error: str = "", held: float = 0.0) -> Mark:
        return Mark(at=self._clock.stamp(), life=self._life, error=error, held=held)

    def keep_with(self, db: Connection, message_id: str, step: Step, mark: Mark) -> None:
        """In the transaction of the step; when it is begun again the first time stays."""
        if step in PARTS:
            body = msgspec.json.encode(mark)
            db.execute(_KEEP, (message_id, step, body, _crc(message_id, step, body)))

    def take(self, db: Connection, message_id: str) -> dict[Step, Mark]:
        """Those of a message that is forgotten."""
        rows = db.execute("delete from mark where message_id = ? returning step, body, crc", (message_id,)).fetchall()
        return {Step(step): mark for step, body, crc in rows if (mark := _sound(message_id, step, body, crc))}


def _sound(message_id: str, step: Any, body: Any, crc: Any) -> Mark | None:
    if not isinstance(body, bytes) or _crc(message_id, step, body) != crc:
        return None
    return msgspec.json.decode(body, type=Mark)


def _crc(message_id: str, step: object, body: bytes) -> int:
    return crc32(body, crc32(f"{message_id} {step}".encode()))
