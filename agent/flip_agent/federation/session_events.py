"""Events of a session that `run` has not taken yet: part of `session.db`, so that a step and its event are one write.

Each is handed over, or counted in a `Loss` that is, and never both. At most a fixed number waits; then the oldest go
that cannot be on their way to `run`, and are counted in the same write. A loss that was looked at is closed: what is
dropped after that begins another one, so that it can be declared again, by its name, after a kill.
"""

import uuid
from collections.abc import Iterable
from sqlite3 import Connection
from zlib import crc32

import msgspec
from msgspec import Struct

from flip_agent.durable_file import Column, DurableFile
from flip_wire.spans import Spans
from flip_wire.telemetry import SessionEvent

KEPT = 4096
AT_ONCE = 32
"""The oldest, which may be on their way; fewer than `LocalClient` would drop."""
OUTNUMBERED = "flip-agent run was away for too long"
REFUSED = "longer than an event may be"
DAMAGED = "damaged on disk"

SCHEMA = """
create table if not exists event (
    number integer primary key autoincrement, once text not null, body blob not null, crc integer,
    kind text not null default 'session'
);
create table if not exists loss (
    name text primary key, reason text not null, count integer not null, closed integer not null default 0
);
"""
ADDED = (Column("event", "crc", "integer"), Column("event", "kind", "text not null default 'session'"))
"""Since the first version of the layout."""
_KINDS: dict[str, type[SessionEvent | Spans]] = {"session": SessionEvent, "spans": Spans}
_KEEP = "insert into event (once, body, crc, kind) values (?, ?, ?, ?)"
_SHED = """
delete from event where number in
(select number from event order by number limit max(0, (select count(*) from event) - ?) offset ?)
"""
_OLDEST = "select number, once, body, crc, kind from event order by number limit ?"
_DROP = "delete from event where number = ?"
_COUNT = "update loss set count = count + ? where reason = ? and not closed"
_FIRST = "insert into loss (name, reason, count) values (?, ?, ?)"
_CLOSE = "update loss set closed = 1 where not closed"
_LOSSES = "select name, reason, count from loss order by rowid"


class KeptEvent(Struct, frozen=True, kw_only=True):
    number: int
    once: str
    """As `flip_agent.local.messages.Emit`."""
    event: SessionEvent | Spans


class Loss(Struct, frozen=True, kw_only=True):
    """Events that were dropped and are not declared yet."""

    name: str
    """For `once`."""
    reason: str
    count: int


class SessionEvents:
    def __init__(self, file: DurableFile, kept: int = KEPT) -> None:
        """`kept`: more than `AT_ONCE`."""
        self._file = file
        self._kept = kept

    def keep(self, event: SessionEvent) -> None:
        """One that tells of no step."""
        with self._file.transaction() as db:
            self.keep_with(db, event)

    def keep_with(self, db: Connection, event: SessionEvent | Spans | None) -> None:
        """In the transaction of the step that it tells of."""
        if event is None:
            return
        kind = "spans" if isinstance(event, Spans) else "session"
        once = f"event:{uuid.uuid4().hex}"  # not by its step: a message may fail twice, and both are told
        body = msgspec.json.encode(event)
        db.execute(_KEEP, (once, body, _crc(once, body), kind))
        _lose(db, db.execute(_SHED, (self._kept, AT_ONCE)).rowcount, OUTNUMBERED)

    def oldest(self) -> list[KeptEvent]:
        """At most `AT_ONCE`. Those that the disk has damaged are lost on the way."""
        while rows := self._file.rows(_OLDEST, (AT_ONCE,)):
            events = [(number, once, _sound(kind, once, body, crc)) for number, once, body, crc, kind in rows]
            if damaged := [number for number, _, event in events if event is None]:
                self.lose(damaged, DAMAGED)
            if len(damaged) < len(rows):
                return [KeptEvent(number=number, once=once, event=event) for number, once, event in events if event]
        return []

    def drop(self, numbers: Iterable[int]) -> None:
        """`run` has them."""
        with self._file.transaction() as db:
            db.executemany(_DROP, [(number,) for number in numbers])

    def lose(self, numbers: Iterable[int], reason: str) -> None:
        """They will never be handed over."""
        with self._file.transaction() as db:
            _lose(db, db.executemany(_DROP, [(number,) for number in numbers]).rowcount, reason)

    def lose_unknown(self, reason: str) -> None:
        """Nobody knows how many."""
        with self._file.transaction() as db:
            db.execute(_FIRST, (_loss_name(), reason, 0))

    def losses(self) -> list[Loss]:
        """To be declared: from now on they do not grow."""
        if not self._file.row("select 1 from loss limit 1"):
            return []
        with self._file.transaction() as db:  # both: one that began in between would grow while it is declared
            db.execute(_CLOSE)
            rows = db.execute(_LOSSES).fetchall()
        return [Loss(name=name, reason=reason, count=count) for name, reason, count in rows]

    def declared(self, loss: Loss) -> None:
        """`run` has taken the declaration."""
        with self._file.transaction() as db:
            db.execute("delete from loss where name = ?", (loss.name,))


def _lose(db: Connection, count: int, reason: str) -> None:
    if count and db.execute(_COUNT, (count, reason)).rowcount == 0:
        db.execute(_FIRST, (_loss_name(), reason, count))


def _loss_name() -> str:
    return f"loss:{uuid.uuid4().hex}"


def _sound(kind: object, once: object, body: object, crc: object) -> SessionEvent | Spans | None:
    """None of a damaged one; those of an earlier version carry no checksum."""
    if not isinstance(body, bytes) or (crc is not None and _crc(once, body) != crc):
        return None
    try:
        return msgspec.json.decode(body, type=_KINDS[str(kind)])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return None


def _crc(once: object, body: bytes) -> int:
    return crc32(body, crc32(str(once).encode()))
