"""The objects of messages in `session.db`, each named by the SHA-256 of its content: what the disk has damaged is never
used."""

import hashlib
from collections.abc import Iterable, Iterator
from sqlite3 import Connection

from flip_agent.durable_file import DurableFile
from flip_agent.federation.flower import Item
from flip_runtime.errors import Corrupt

SCHEMA = """
create table if not exists object (
    message_id text not null references message (message_id) on delete cascade,
    side text not null check (side in ('in', 'out')), object_id text not null, content blob not null,
    upload text not null default '', primary key (message_id, side, object_id)
);
"""
_KEEP = "insert or ignore into object (message_id, side, object_id, content) values (?, ?, ?, ?)"
_HAND_ON = """
insert or ignore into object (message_id, side, object_id, content)
select ?, 'out', object_id, content from object where message_id = ? and side = 'out'
"""


class SessionObjects:
    def __init__(self, file: DurableFile) -> None:
        self._file = file

    def keep_of_instruction(self, message_id: str, items: Iterable[Item]) -> None:
        with self._file.transaction() as db:
            _keep_objects(db, message_id, "in", items)

    def keep_of_reply(self, message_id: str, items: Iterable[Item]) -> None:
        """Of a reply that is too large for memory; they count once `make_ready` has been called."""
        with self._file.transaction() as db:
            _keep_objects(db, message_id, "out", items)

    def drop_of_reply(self, message_id: str) -> None:
        with self._file.transaction() as db:
            db.execute("delete from object where message_id = ? and side = 'out'", (message_id,))

    def of_instruction(self, message_id: str) -> set[str]:
        """Ids of those kept so far."""
        ids = "select object_id from object where message_id = ? and side = 'in'"
        return {row[0] for row in self._file.rows(ids, (message_id,))}

    def in_instruction(self, message_id: str, object_id: str) -> Item:
        """Raises `Corrupt` when it is not what its name says."""
        return self._object(message_id, "in", object_id)

    def in_reply(self, message_id: str, object_id: str) -> Item:
        """Raises `Corrupt` when it is not what its name says."""
        return self._object(message_id, "out", object_id)

    def reply_size(self, message_id: str) -> int:
        """Bytes of its objects together."""
        total = "select coalesce(sum(length(content)), 0) from object where message_id = ? and side = 'out'"
        return int(self._file.rows(total, (message_id,))[0][0])

    def uploaded(self, message_id: str, upload: str) -> set[str]:
        """Objects of the reply that the hub has stored in that upload session."""
        ids = "select object_id from object where message_id = ? and side = 'out' and upload = ?"
        return {row[0] for row in self._file.rows(ids, (message_id, upload))}

    def keep_uploaded(self, message_id: str, upload: str, object_ids: Iterable[str]) -> None:
        mark = "update object set upload = ? where message_id = ? and side = 'out' and object_id = ?"
        with self._file.transaction() as db:
            db.executemany(mark, ((upload, message_id, object_id) for object_id in object_ids))

    def _object(self, message_id: str, side: str, object_id: str) -> Item:
        content = "select content from object where message_id = ? and side = ? and object_id = ?"
        row = self._file.row(content, (message_id, side, object_id))
        if row is None or not _is_named(row[0], object_id):
            which = "instruction" if side == "in" else "reply"
            raise Corrupt(f"the {which} was damaged on this device's disk")
        return Item(object_id=object_id, content=row[0])

    def made_ready(self, db: Connection, message_id: str, last: Iterable[Item]) -> None:
        """The reply is whole with these; of the instruction nothing is needed any more."""
        _keep_objects(db, message_id, "out", last)
        db.execute("delete from object where message_id = ? and side = 'in'", (message_id,))

    def hand_on(self, db: Connection, earlier: str, message_id: str) -> None:
        """What the reply to `earlier` consists of is part of the reply to `message_id`, too."""
        db.execute(_HAND_ON, (message_id, earlier))


def _keep_objects(db: Connection, message_id: str, side: str, items: Iterable[Item]) -> None:
    rows: Iterator[tuple[str, str, str, bytes]] = ((message_id, side, item.object_id, item.content) for item in items)
    db.executemany(_KEEP, rows)


def _is_named(content: object, object_id: str) -> bool:
    return isinstance(content, bytes) and hashlib.sha256(content).hexdigest() == object_id
