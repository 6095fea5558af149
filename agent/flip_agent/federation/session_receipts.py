"""What this device has signed, and what the hub said became of it: part of `session.db`, the newest of them.

A row is written when a statement is signed, before the reply is whole, and again when its fate is known. A damaged one
counts as not there.
"""

import time
from sqlite3 import Connection
from zlib import crc32

import msgspec
from msgspec.structs import replace

from flip_agent.durable_file import DurableFile
from flip_agent.receipts import KeptReceipt
from flip_wire.contributions import Fate, Receipt
from flip_wire.statements import Statement

KEPT = 1000

SCHEMA = """
create table if not exists receipt (
    number integer primary key autoincrement, message_id text not null unique, body blob not null, crc integer not null
);
"""
_KEEP = "insert or replace into receipt (message_id, body, crc) values (?, ?, ?)"
_SHED = "delete from receipt where number <= (select max(number) from receipt) - ?"
_ONE = "select body, crc from receipt where message_id = ?"
_NEWEST = "select body, crc from receipt order by number desc limit ?"


class SessionReceipts:
    def __init__(self, file: DurableFile) -> None:
        self._file = file

    def signed(self, message_id: str, statement: Statement) -> None:
        receipt = KeptReceipt(
            message_id=message_id,
            run_id=statement.run_id,
            round=statement.round,
            phase=statement.phase,
            samples=statement.samples,
            statement=statement.digest,
            fate=Fate.PENDING,
            at=time.time(),
        )
        with self._file.transaction() as db:
            _keep(db, receipt)

    def settled(self, receipt: Receipt) -> KeptReceipt | None:
        """None of a message whose reply was not signed."""
        with self._file.transaction() as db:
            known = _sound(db.execute(_ONE, (receipt.message_id,)).fetchone())
            if known is None:
                return None
            told = {"fate": receipt.fate, "reason": receipt.reason, "weight": receipt.weight}
            settled = replace(known, **told, entry=receipt.entry, hash=receipt.hash, at=time.time())
            _keep(db, settled)
        return settled

    def hand_on(self, db: Connection, earlier: str, message_id: str) -> None:
        """The reply to `earlier` is the reply to another message."""
        known = _sound(db.execute(_ONE, (earlier,)).fetchone())
        if known is not None:
            db.execute("delete from receipt where message_id = ?", (earlier,))
            _keep(db, replace(known, message_id=message_id))

    def newest(self, limit: int) -> list[KeptReceipt]:
        """Oldest first."""
        rows = self._file.rows(_NEWEST, (limit,))
        return [receipt for row in reversed(rows) if (receipt := _sound(row)) is not None]


def _keep(db: Connection, receipt: KeptReceipt) -> None:
    body = msgspec.json.encode(receipt)
    db.execute(_KEEP, (receipt.message_id, body, crc32(body)))
    db.execute(_SHED, (KEPT,))


def _sound(row: tuple[object, object] | None) -> KeptReceipt | None:
    if row is None or not isinstance(row[0], bytes) or crc32(row[0]) != row[1]:
        return None
    try:
        return msgspec.json.decode(row[0], type=KeptReceipt)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
