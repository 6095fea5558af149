"""A SQLite connection that runs a whole transaction in one visit to its thread.

A visit (two switches of threads) costs more than a statement: with four of them for a commit, the CPU of an event
doubles. Through `aiosqlite` it is asked for as `executemany(TRANSACTION, changes)`.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from flip_runtime.errors import Corrupt

TRANSACTION = "transaction"


class Change(Struct, frozen=True):
    statement: str
    rows: Sequence[tuple[object, ...]]
    hits: int | None = None
    """Rows it must change: a row that is read and cannot be deleted is a damaged tree."""


class OutboxConnection(sqlite3.Connection):
    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        if sql != TRANSACTION:
            return super().executemany(sql, parameters)
        cursor = self.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            for change in parameters:
                cursor.executemany(change.statement, change.rows)
                if change.hits is not None and cursor.rowcount != change.hits:
                    raise Corrupt("a row is not where it was read")
            return cursor.execute("COMMIT")
        except BaseException:
            cursor.close()  # its statement would keep the file locked as long as somebody holds the error
            raise
