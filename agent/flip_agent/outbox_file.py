"""The outbox's SQLite file: every change is one durable transaction, every row carries a checksum.

One table per priority, so that the most urgent event is found without an index; `seq` is counted over all of them in
`meta` (SQLite would reuse numbers once a table is empty). A row holds the event as it travels. What was dropped is
added up in `gap` until it is declared to the hub as an event of its own.
"""

import asyncio
import contextlib
import logging
import os
import sqlite3
import uuid
import zlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from pathlib import Path

import aiosqlite

from flip_runtime.errors import ConfigError, Corrupt, FlipError, Unavailable
from flip_wire.telemetry import Gap, Priority, Seq

log = logging.getLogger(__name__)

VERSION = 1
PAGE = 4096
DEAD_LETTERS = 100
"""Refused events that are kept for people to look at."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (epoch TEXT NOT NULL, next_seq INTEGER NOT NULL, dropped INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS alert (seq INTEGER PRIMARY KEY, event BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS federation (seq INTEGER PRIMARY KEY, event BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS health (seq INTEGER PRIMARY KEY, event BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, event BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS gap (
    priority INTEGER NOT NULL, reason TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (priority, reason)
);
CREATE TABLE IF NOT EXISTS dead_letter (
    seq INTEGER PRIMARY KEY, priority INTEGER NOT NULL, event BLOB NOT NULL, reason TEXT NOT NULL
);
"""
INSERT = "INSERT INTO {table} (seq, event, crc) VALUES (?, ?, ?)"
COUNT_ON = "UPDATE meta SET next_seq = ?"
# The rows whose predecessors stay below a number of bytes: at least one, whatever its size. A row that rotted may hold
# another type than it should; as bytes it fails its checksum instead of the reader.
PEEK = """
SELECT seq, coalesce(CAST(event AS BLOB), x''), crc FROM {table} WHERE seq IN (
    SELECT seq FROM (
        SELECT seq, sum(length(event)) OVER (ORDER BY seq) - length(event) AS before
        FROM (SELECT seq, event FROM {table} ORDER BY seq LIMIT ?)
    ) WHERE before < ?
) ORDER BY seq
"""
ACK = "DELETE FROM {table} WHERE seq <= ?"
DELETE = "DELETE FROM {table} WHERE seq = ?"
OLDEST = "SELECT seq FROM {table} ORDER BY seq LIMIT ?"
DEPTH = "SELECT count(*) FROM {table}"
DROPPED = "UPDATE meta SET dropped = dropped + ?"
ADD_TO_GAP = """
INSERT INTO gap (priority, reason, first, last, count) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (priority, reason) DO UPDATE SET
    first = min(first, excluded.first), last = max(last, excluded.last), count = count + excluded.count
"""
GAPS = "SELECT priority, reason, first, last, count FROM gap ORDER BY priority"
KEEP_LETTER = (
    "INSERT INTO dead_letter (seq, priority, event, reason) SELECT seq, ?, event, ? FROM {table} WHERE seq = ?"
)
TRIM_LETTERS = "DELETE FROM dead_letter WHERE seq NOT IN (SELECT seq FROM dead_letter ORDER BY seq DESC LIMIT ?)"


class Full(Unavailable):
    """The file has reached its size, or the disk is full."""


class Row:
    """One event as it is stored."""

    __slots__ = ("crc", "event", "seq")

    def __init__(self, seq: int, event: bytes, crc: int) -> None:
        self.seq = Seq(seq)
        self.event = event
        self.crc = crc

    @property
    def intact(self) -> bool:
        return self.crc == checksum(self.seq, self.event)


def checksum(seq: int, event: bytes) -> int:
    return zlib.crc32(event, seq & 0xFFFFFFFF)


class OutboxFile:
    """One connection; transactions exclude each other, so that nobody reads what is not committed."""

    def __init__(self, db: aiosqlite.Connection, epoch: str, next_seq: int) -> None:
        self._db = db
        self._lock = asyncio.Lock()
        self.epoch = epoch
        self.next_seq = Seq(next_seq)

    @classmethod
    async def open(cls, path: Path, max_bytes: int) -> "OutboxFile":
        """Makes the file if it is missing. Raises `Corrupt` when it is no intact outbox."""
        db = await aiosqlite.connect(path, isolation_level=None)
        try:
            path.chmod(0o600)
            return await cls._prepare(db, path, max_bytes)
        except BaseException as error:
            await db.close()
            if isinstance(error, sqlite3.Error):
                raise _meaning(error) from error
            raise

    @classmethod
    async def _prepare(cls, db: aiosqlite.Connection, path: Path, max_bytes: int) -> "OutboxFile":
        await db.execute("PRAGMA journal_mode = WAL")
        await db.execute("PRAGMA synchronous = FULL")
        await db.execute(f"PRAGMA journal_size_limit = {4 * 2**20}")
        await db.execute(f"PRAGMA max_page_count = {max(16, max_bytes // PAGE)}")
        if (verdict := await _first(db, "PRAGMA quick_check(1)")) != ("ok",):
            raise Corrupt(f"{path.name}: {verdict[0]}")
        (version,) = await _first(db, "PRAGMA user_version")
        if version > VERSION:
            raise ConfigError(f"{path} was written by a newer agent", hint="update the agent, or move the file away")
        await db.executescript(SCHEMA)
        await db.execute(f"PRAGMA user_version = {VERSION}")
        await db.execute(
            "INSERT INTO meta (epoch, next_seq, dropped) SELECT ?, 1, 0 WHERE NOT EXISTS (SELECT * FROM meta)",
            (str(uuid.uuid4()),),
        )
        epoch, next_seq = await _first(db, "SELECT epoch, next_seq FROM meta")
        return cls(db, epoch, next_seq)

    async def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # of a damaged file there is nothing left to save
            await self._db.close()

    # ---- adding ----

    async def insert(self, rows: Sequence[tuple[Priority, bytes]]) -> Seq:
        """All or nothing; gives the number of the first, the others follow it. Raises `Full`."""
        first = self.next_seq
        async with self._transaction() as db:
            for priority in {priority for priority, _ in rows}:
                numbered = [
                    (seq, event, checksum(seq, event))
                    for seq, (belongs, event) in enumerate(rows, first)
                    if belongs == priority
                ]
                await db.executemany(INSERT.format(table=_table(priority)), numbered)
            await db.execute(COUNT_ON, (first + len(rows),))
        self.next_seq = Seq(first + len(rows))
        return first

    # ---- reading ----

    async def peek(self, priority: Priority, limit: int, max_bytes: int) -> list[Row]:
        return [Row(*row) for row in await self._select(PEEK.format(table=_table(priority)), (limit, max_bytes))]

    async def depth(self, priority: Priority) -> int:
        return (await self._select(DEPTH.format(table=_table(priority))))[0][0]

    async def oldest(self, priority: Priority, limit: int) -> list[Seq]:
        rows = await self._select(OLDEST.format(table=_table(priority)), (limit,))
        return [Seq(seq) for (seq,) in rows]

    async def dropped(self) -> int:
        return (await self._select("SELECT dropped FROM meta"))[0][0]

    async def gaps(self) -> list[Gap]:
        """What was dropped and is not declared yet."""
        return [
            Gap(priority=Priority(priority), reason=reason, first=Seq(first), last=Seq(last), count=count)
            for priority, reason, first, last, count in await self._select(GAPS)
        ]

    # ---- removing ----

    async def ack(self, priority: Priority, up_to: Seq) -> None:
        async with self._transaction() as db:
            await db.execute(ACK.format(table=_table(priority)), (up_to,))

    async def drop(self, priority: Priority, seqs: Sequence[Seq], reason: str, *, keep_letter: bool = False) -> None:
        """Deletes events and counts them in a gap; with `keep_letter` people can still look at them."""
        async with self._transaction() as db:
            table = _table(priority)
            if keep_letter:
                letters = [(priority, reason, seq) for seq in seqs]
                await db.executemany(KEEP_LETTER.format(table=table), letters)
                await db.execute(TRIM_LETTERS, (DEAD_LETTERS,))
            await db.executemany(DELETE.format(table=table), [(seq,) for seq in seqs])
            await self._count_dropped(db, priority, seqs, reason)

    async def skip(self, priority: Priority, count: int, reason: str) -> Seq:
        """Counts events as dropped that never came in; gives the number of the first."""
        first = self.next_seq
        async with self._transaction() as db:
            await db.execute(COUNT_ON, (first + count,))
            await self._count_dropped(db, priority, [first, Seq(first + count - 1)], reason, count)
        self.next_seq = Seq(first + count)
        return first

    async def declare(self, gaps: Sequence[Gap], events: Sequence[bytes]) -> None:
        """Puts the events that tell of the gaps into the outbox in place of the gaps. Raises `Full`."""
        first = self.next_seq
        async with self._transaction() as db:
            await db.executemany(
                "DELETE FROM gap WHERE priority = ? AND reason = ?", [(gap.priority, gap.reason) for gap in gaps]
            )
            numbered = [(seq, event, checksum(seq, event)) for seq, event in enumerate(events, first)]
            await db.executemany(INSERT.format(table=_table(Priority.ALERT)), numbered)
            await db.execute(COUNT_ON, (first + len(events),))
        self.next_seq = Seq(first + len(events))

    async def _count_dropped(
        self, db: aiosqlite.Connection, priority: Priority, seqs: Sequence[Seq], reason: str, count: int | None = None
    ) -> None:
        number = len(seqs) if count is None else count
        await db.execute(DROPPED, (number,))
        await db.execute(ADD_TO_GAP, (priority, reason[:200], min(seqs), max(seqs), number))

    # ---- the connection ----

    async def _select(self, sql: str, values: Iterable[object] = ()) -> list[sqlite3.Row]:
        async with self._lock:
            try:
                return list(await self._db.execute_fetchall(sql, values))
            except sqlite3.Error as error:
                raise _meaning(error) from error

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[aiosqlite.Connection]:
        async with self._lock:
            try:
                await self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                await self._db.commit()
            except BaseException as error:
                with contextlib.suppress(sqlite3.Error):
                    await self._db.rollback()
                if isinstance(error, sqlite3.Error):
                    raise _meaning(error) from error
                raise


def move_aside(path: Path) -> Path:
    """Keeps the newest damaged file (with its log) for people to look at; the name is free afterwards."""
    aside = path.with_name(f"{path.name}.damaged")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    return aside


def _table(priority: Priority) -> str:
    return priority.name.lower()


async def _first(db: aiosqlite.Connection, sql: str) -> sqlite3.Row:
    return next(iter(await db.execute_fetchall(sql)))


def _meaning(error: sqlite3.Error) -> FlipError | sqlite3.Error:
    """By who must act: time when the disk is full or fails, this process when the file is damaged."""
    code = getattr(error, "sqlite_errorcode", None)
    match None if code is None else code & 0xFF:
        case sqlite3.SQLITE_FULL:
            return Full(f"the outbox is full: {error}", hint="make room on the disk, or raise outbox.max_bytes")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return Corrupt(f"the outbox is damaged: {error}")
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN:
            return Unavailable(f"the outbox cannot be written: {error}", hint="check the disk of agent.state")
        case _:
            return error
