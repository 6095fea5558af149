"""A SQLite file of one process: one connection, one statement or transaction at a time, from any thread.

What a transaction wrote is on disk when it ends. Raises `Full` or `Unavailable` when the disk is full or fails, or when
another process has the file open; `Corrupt` when it cannot be read.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flip_agent.sqlite_errors import meaning
from flip_runtime.errors import Corrupt

_LOG_BYTES = 4 * 2**20
"""Of the write-ahead log that are kept beside the file; a large transaction may take more for a while."""


class Column(NamedTuple):
    table: str
    name: str
    kind: str


class DurableFile:
    def __init__(
        self, path: Path, schema: str, *, version: int, added: Sequence[Column] = (), max_bytes: int | None = None
    ) -> None:
        """`version` of the layout; `added`: columns that tables made earlier in that version lack."""
        self._path = path
        self._version = version
        self._lock = threading.RLock()
        path.touch(mode=0o600)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0, check_same_thread=False)
        try:
            with self._translated():
                self._db.execute("pragma locking_mode = exclusive")  # before WAL: then it needs no shared memory either
                self._db.execute("pragma journal_mode = wal")
                self._db.execute("pragma synchronous = full")
                self._db.execute(f"pragma journal_size_limit = {_LOG_BYTES}")
                self._db.execute("pragma foreign_keys = on")
                self._db.execute("pragma secure_delete = on")  # Debian's default: what is deleted may be a secret
                self._prepare(schema, added)
                if max_bytes is not None:
                    (page,) = self._db.execute("pragma page_size").fetchone()
                    self._db.execute(f"pragma max_page_count = {max_bytes // page}")
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """After the statement that is under way in another thread: SQLite would crash on the next one's memory."""
        with self._lock:
            self._db.close()

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self._lock, self._translated():
            return self._db.execute(query, parameters).fetchall()

    def row(self, query: str, parameters: Sequence[Any] = ()) -> Any:
        """The first, or None."""
        rows = self.rows(query, parameters)
        return rows[0] if rows else None

    def _prepare(self, schema: str, added: Sequence[Column]) -> None:
        (version,) = self._db.execute("pragma user_version").fetchone()
        (tables,) = self._db.execute("select count(*) from sqlite_master").fetchone()
        if tables and version != self._version:
            raise Corrupt(f"{self._path} has layout {version}, not {self._version}")
        # In one transaction: after a kill in between it would be a file of an unknown layout,
        # and a mark that is there is not written again, so that the file can be opened on a full disk
        mark = f"pragma user_version = {self._version};" if version != self._version else ""
        self._db.executescript(f"begin; {schema} {mark} commit;")
        for column in added:
            known = self._db.execute("select name from pragma_table_info(?)", (column.table,)).fetchall()
            if (column.name,) not in known:
                self._db.execute(f"alter table {column.table} add column {column.name} {column.kind}")

    @contextlib.contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        with self._lock, self._translated():
            self._db.execute("begin immediate")
            try:
                yield self._db
                self._db.execute("commit")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("rollback")
                raise

    @contextlib.contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise meaning(error, str(self._path)) from error


def move_aside(path: Path) -> Path:
    """A damaged file, with what belongs to it, for a look; an earlier one makes room."""
    aside = path.with_name(f"{path.name}.damaged")
    for suffix in ("", "-wal"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    return aside
