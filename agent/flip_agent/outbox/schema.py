"""What the outbox's SQLite file holds, and the statements that change it.

    ledger       one row: `ledger.Ledger` as JSON, and its CRC-32
    alert, federation, health, log
                 one row a block (`sealed_block`): an event of the urgent two, a commit's events of the bulk two
    once         names of events that are accepted once, the newest `KEYS`
    dead_letter  events that the hub refused, and quarantine: blocks that rotted; the newest few, for people to look at

One table per priority, so that the most urgent event is found without an index.
"""

import sqlite3
import zlib
from pathlib import Path

import aiosqlite
import msgspec

from flip_agent.outbox.ledger import Ledger
from flip_runtime.errors import ConfigError, Corrupt

VERSION = 2
PAGE = 1024
"""Bytes. The accounts and the tree's edges are in every commit: small pages halve what a commit writes."""
KEYS = 2048
DEAD_LETTERS = 100
QUARANTINED = 8
LOG_PAGES = 768
"""Of the write-ahead log until it is brought home: less than the ballast."""

BLOCKS = "first INTEGER PRIMARY KEY, count INTEGER NOT NULL, size INTEGER NOT NULL, content BLOB NOT NULL, crc INTEGER"
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS ledger (content BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS alert ({BLOCKS});
CREATE TABLE IF NOT EXISTS federation ({BLOCKS});
CREATE TABLE IF NOT EXISTS health ({BLOCKS});
CREATE TABLE IF NOT EXISTS log ({BLOCKS});
CREATE TABLE IF NOT EXISTS once (seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS dead_letter (seq INTEGER PRIMARY KEY, priority INTEGER, event BLOB, reason TEXT);
CREATE TABLE IF NOT EXISTS quarantine (first INTEGER PRIMARY KEY, priority INTEGER, content BLOB, crc INTEGER);
"""
READ_LEDGER = "SELECT content, crc FROM ledger"
WRITE_LEDGER = "UPDATE ledger SET content = ?, crc = ?"
INSERT = "INSERT INTO {table} (first, count, size, content, crc) VALUES (?, ?, ?, ?, ?)"
# The blocks after a number whose predecessors stay below a number of events and bytes: at least one, whatever its size.
# A row that rotted may hold other types than it should: it fails its checksum instead of the reader.
PEEK = """
SELECT first, coalesce(CAST(count AS INTEGER), 0), coalesce(CAST(size AS INTEGER), 0),
    coalesce(CAST(content AS BLOB), x''), crc
FROM {table}
WHERE first IN (
    SELECT first FROM (
        SELECT first, total(count) OVER before AS events, total(size) OVER before AS bytes
        FROM (SELECT first, count, size FROM {table} WHERE first > ? ORDER BY first LIMIT ?)
        WINDOW before AS (ORDER BY first ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ) WHERE events < ? AND bytes < ?
) ORDER BY first
"""
UP_TO = "SELECT first, coalesce(CAST(count AS INTEGER), 0) FROM {table} WHERE first <= ?"
HELD = "SELECT sum(count), max(first + count) FROM {table}"
ACK = "DELETE FROM {table} WHERE first <= ? AND first + count - 1 <= ?"
DELETE = "DELETE FROM {table} WHERE first = ?"
ONCE = "INSERT INTO once (seq, key) VALUES (?, ?)"
KNOWN = "SELECT key, seq FROM once WHERE key IN ({marks})"
FORGET = "DELETE FROM once WHERE seq <= (SELECT seq FROM once ORDER BY seq DESC LIMIT 1 OFFSET ?)"
KEEP_LETTER = "INSERT OR REPLACE INTO dead_letter (seq, priority, event, reason) VALUES (?, ?, ?, ?)"
TRIM_LETTERS = "DELETE FROM dead_letter WHERE seq NOT IN (SELECT seq FROM dead_letter ORDER BY seq DESC LIMIT ?)"
KEEP_BLOCK = "INSERT OR REPLACE INTO quarantine (first, priority, content, crc) VALUES (?, ?, ?, ?)"
TRIM_BLOCKS = "DELETE FROM quarantine WHERE first NOT IN (SELECT first FROM quarantine ORDER BY first DESC LIMIT ?)"


async def prepare(db: aiosqlite.Connection, path: Path, max_pages: int, ledger: Ledger) -> Ledger:
    await db.execute(f"PRAGMA page_size = {PAGE}")
    await db.execute("PRAGMA locking_mode = EXCLUSIVE")
    await db.execute("PRAGMA journal_mode = WAL")
    await db.execute("PRAGMA synchronous = FULL")
    await db.execute("PRAGMA temp_store = MEMORY")
    await db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
    await db.execute(f"PRAGMA journal_size_limit = {LOG_PAGES * PAGE}")
    await db.execute(f"PRAGMA max_page_count = {max_pages}")
    if (verdict := await first_row(db, "PRAGMA quick_check(1)")) != ("ok",):
        raise Corrupt(f"{path.name}: {verdict[0]}")
    (version,) = await first_row(db, "PRAGMA user_version")
    if version > VERSION:
        raise ConfigError(f"{path} was written by a newer agent", hint="update the agent, or move the file away")
    if 0 < version < VERSION:
        raise Corrupt(f"{path.name} has the format of an unreleased agent")
    if version == 0:
        await db.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA.split(";"):
            await db.execute(statement)
        await db.execute("INSERT INTO ledger (content, crc) VALUES (?, ?)", checked(ledger))
        await db.execute(f"PRAGMA user_version = {VERSION}")
        await db.commit()
    return await load_ledger(db)


async def load_ledger(db: aiosqlite.Connection) -> Ledger:
    found = list(await db.execute_fetchall(READ_LEDGER))
    return read_ledger(found[0][0], found[0][1]) if found else read_ledger(b"", None)


def read_ledger(content: object, crc: object) -> Ledger:
    """Raises `Corrupt`."""
    if not isinstance(content, bytes) or zlib.crc32(content) != crc:
        raise Corrupt("the outbox's ledger is damaged")
    return msgspec.json.decode(content, type=Ledger)


def checked(ledger: Ledger) -> tuple[bytes, int]:
    content = msgspec.json.encode(ledger)
    return content, zlib.crc32(content)


async def first_row(db: aiosqlite.Connection, sql: str) -> sqlite3.Row:
    return next(iter(await db.execute_fetchall(sql)))
