"""The outbox's SQLite file: every change is one durable transaction, its accounts included (`schema`).

Numbers (`seq`) grow over all priorities; after an end without `close` some are left out, so that none is given twice
even if the disk has lost the newest commits. An ack in the middle of a block moves `Account.acked`; the block goes with
its last event. The connection holds the file for itself (no shared memory beside it), and its log stays smaller than
the ballast: on a full disk the ballast's room brings the log home, and then only pages that are freed are used.
"""

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from pathlib import Path

import aiosqlite
from msgspec import Struct
from msgspec.structs import replace

from flip_agent.outbox import schema as sql
from flip_agent.outbox.ballast import Ballast
from flip_agent.outbox.connection import TRANSACTION, Change, OutboxConnection
from flip_agent.outbox.ledger import Ledger, new_ledger
from flip_agent.outbox.schema import checked, first_row, load_ledger, prepare
from flip_agent.outbox.sealed_block import BULK, MOST, Block, Row, seal, unseal
from flip_agent.sqlite_errors import is_full, meaning
from flip_runtime.errors import FlipError, Unavailable
from flip_wire.telemetry import Gap, Priority, Seq

_LEFT_OUT = 2**20
"""Numbers after an end without `close`; the log holds fewer events."""
_KEPT_BYTES = 2**16
"""Of a dead letter or a quarantined block."""
_FROM_THE_FIRST = -(2**63)
"""Below what a rotted number can be."""


class New(Struct, eq=False):
    """An event that comes in."""

    priority: Priority
    event: bytes
    once: str = ""
    seq: Seq = Seq(0)
    """Its number, once it is stored."""


class OutboxFile:
    """One connection; calls exclude each other, so that nobody reads what is not committed."""

    def __init__(self, db: aiosqlite.Connection, ballast: Ballast, max_pages: int, ledger: Ledger) -> None:
        self._db = db
        self._ballast = ballast
        self._max_pages = max_pages
        self._tight = False
        """It may not grow: its disk is full."""
        self._lock = asyncio.Lock()
        self._closed = False
        self._unsure = False
        """A transaction was broken off: only the file knows whether it counts."""
        self.ledger = ledger

    @classmethod
    async def open(cls, path: Path, max_bytes: int, ballast: Ballast, ledger: Ledger | None = None) -> "OutboxFile":
        """Makes the file if it is missing, with `ledger`. Raises `Corrupt` when it is no intact outbox."""
        log_left = Path(f"{path}-wal")
        unclean = log_left.exists() and log_left.stat().st_size > 0
        db = await aiosqlite.connect(path, isolation_level=None, factory=OutboxConnection)
        try:
            path.chmod(0o600)
            max_pages = max(16, max_bytes // sql.PAGE)
            file = cls(db, ballast, max_pages, await prepare(db, path, max_pages, ledger or new_ledger()))
        except BaseException as error:
            await db.close()
            if isinstance(error, sqlite3.Error):
                raise _meaning(error) from error
            raise
        if unclean:
            file.ledger = replace(file.ledger, next_seq=Seq(file.ledger.next_seq + _LEFT_OUT))
        await file._follow_disk()
        return file

    async def close(self) -> None:
        """Afterwards every call raises `Unavailable`."""
        async with self._lock:
            self._closed = True
            with contextlib.suppress(sqlite3.Error):  # of a damaged file there is nothing left to save
                await self._db.close()

    # ---- adding ----

    async def insert(self, events: Sequence[New]) -> None:
        """All or nothing; gives each its number. Raises `Full`."""
        async with self._alone():
            ledger, changes = self.ledger, list[Change]()
            for priority in Priority:
                if members := [each for each in events if each.priority is priority]:
                    changes.append(_insert(ledger.next_seq, priority, [each.event for each in members]))
                    for seq, each in enumerate(members, ledger.next_seq):
                        each.seq = Seq(seq)
                    ledger = ledger.added(priority, len(members))
            changes += _remember((each.seq, each.once) for each in events if each.once)
            await self._commit(ledger, changes)

    async def known(self, keys: Sequence[str]) -> dict[str, Seq]:
        """Of events that were accepted under one of these names, the number."""
        async with self._alone():
            found = await self._db.execute_fetchall(sql.KNOWN.format(marks=", ".join("?" * len(keys))), keys)
            return {key: Seq(seq) for key, seq in found}

    async def skip(self, priority: Priority, keys: Sequence[str], reason: str) -> Seq:
        """Numbers and counts events (their names, or "") that found no place; gives the number of the first."""
        async with self._alone():
            first = self.ledger.next_seq
            await self._commit(
                self.ledger.skipped(priority, len(keys), reason),
                _remember((Seq(seq), key) for seq, key in enumerate(keys, first) if key),
            )
            return first

    async def declare(self, encode: Callable[[Gap], bytes]) -> None:
        """Turns what was lost into alerts. Raises `Full`."""
        async with self._alone():
            ledger = self.ledger
            if not ledger.gaps:
                return
            change = _insert(ledger.next_seq, Priority.ALERT, [encode(gap) for gap in ledger.gaps])
            await self._commit(ledger.declared().added(Priority.ALERT, len(ledger.gaps)), [change])

    # ---- reading ----

    async def peek(self, priority: Priority, limit: int, max_bytes: int, damaged: str) -> list[Block]:
        """The oldest blocks, intact; those that rotted are put into quarantine and counted for the reason `damaged`."""
        async with self._alone():
            while True:
                blocks = await self._read(priority, _FROM_THE_FIRST, limit, max_bytes)
                rotten = [(row, block) for row, block in blocks if block.events is None]
                if rotten:
                    await self._quarantine(priority, rotten, damaged)
                if rotten and len(rotten) == len(blocks):
                    continue
                if not blocks and self.ledger.of(priority).waiting:
                    await self._commit(self.ledger.vanished(priority, damaged), [])
                return [block for _, block in blocks if block.events is not None]

    async def check(self) -> str:
        """What is wrong with the file's structure; empty when it is sound."""
        async with self._alone():
            await self._db.execute("PRAGMA shrink_memory")  # else it would read what it remembers, not the disk
            verdict = (await first_row(self._db, "PRAGMA quick_check(1)"))[0]
            return "" if verdict == "ok" else verdict

    # ---- removing ----

    async def ack(self, priority: Priority, up_to: Seq) -> None:
        async with self._alone():
            acked = self.ledger.of(priority).acked
            found = await self._db.execute_fetchall(sql.UP_TO.format(table=_table(priority)), (up_to,))
            count = sum(max(0, min(first + count - 1, up_to) - max(first - 1, acked)) for first, count in found)
            change = Change(sql.ACK.format(table=_table(priority)), [(up_to, up_to)])
            await self._commit(self.ledger.removed(priority, count, up_to=up_to), [change])

    async def shed(self, priority: Priority, after: Seq, max_bytes: int, reason: str) -> bool:
        """Deletes the oldest blocks behind that number and counts them as lost; False when there are none."""
        async with self._alone():
            blocks = await self._read(priority, after, MOST, max_bytes)
            ledger = self.ledger
            for _, block in blocks:
                ledger = ledger.removed(priority, block.count).lost(_gap(priority, block.first, block.count, reason))
            rows = [(row.first,) for row, _ in blocks]
            if rows:
                await self._commit(ledger, [Change(sql.DELETE.format(table=_table(priority)), rows, hits=len(rows))])
            return bool(rows)

    async def reject(self, priority: Priority, seq: Seq, event: bytes, reason: str) -> None:
        """Passes over the oldest event of that class, counts it as lost, and keeps it for people to look at."""
        async with self._alone():
            ledger = self.ledger.removed(priority, 1, up_to=seq).lost(_gap(priority, seq, 1, reason))
            gone = Change(sql.ACK.format(table=_table(priority)), [(seq, seq)])
            letter = Change(sql.KEEP_LETTER, [(seq, priority, event[:_KEPT_BYTES], reason)])
            await self._commit_or_without(ledger, [gone], [letter, Change(sql.TRIM_LETTERS, [(sql.DEAD_LETTERS,)])])

    async def _quarantine(self, priority: Priority, rotten: Sequence[tuple[Row, Block]], reason: str) -> None:
        ledger = self.ledger
        for _, block in rotten:
            acked = ledger.of(priority).acked
            count = min(block.count, max(0, block.last - acked))  # some of it may be with the hub
            ledger = ledger.removed(priority, count).lost(_gap(priority, Seq(block.last - count + 1), count, reason))
        gone = Change(sql.DELETE.format(table=_table(priority)), [(row.first,) for row, _ in rotten], hits=len(rotten))
        kept = Change(sql.KEEP_BLOCK, [(row.first, priority, row.content[:_KEPT_BYTES], row.crc) for row, _ in rotten])
        await self._commit_or_without(ledger, [gone], [kept, Change(sql.TRIM_BLOCKS, [(sql.QUARANTINED,)])])

    # ---- the connection ----

    async def _read(self, priority: Priority, after: int, limit: int, max_bytes: int) -> list[tuple[Row, Block]]:
        found = await self._db.execute_fetchall(
            sql.PEEK.format(table=_table(priority)), (after, limit, limit, max_bytes)
        )
        return [(row, unseal(row)) for row in itertools.starmap(Row, found)]

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncGenerator[None]:
        async with self._lock:
            if self._closed:
                raise Unavailable("the outbox is closed")
            try:
                if self._unsure:
                    await self._recall()
                yield
            except sqlite3.Error as error:
                raise _meaning(error) from error

    async def _commit_or_without(self, ledger: Ledger, changes: list[Change], dispensable: list[Change]) -> None:
        try:
            await self._commit(ledger, changes + dispensable)
        except sqlite3.Error as error:
            if not is_full(error):
                raise
            await self._recall()
            await self._commit(ledger, changes)

    async def _commit(self, ledger: Ledger, changes: Sequence[Change]) -> None:
        try:
            await self._transact(ledger, changes)
        except sqlite3.Error as error:
            if not is_full(error) or self._tight or not self._ballast.disk_full():
                raise
            self._ballast.release()
            await self._recall()
            await self._follow_disk()
            await self._transact(ledger, changes)
        await self._ballast.remake()
        if self._tight and self._ballast.held:
            await self._follow_disk()

    async def _transact(self, ledger: Ledger, changes: Sequence[Change]) -> None:
        self._unsure = True
        await self._db.executemany(TRANSACTION, [*changes, Change(sql.WRITE_LEDGER, [checked(ledger)])])
        self.ledger = ledger
        self._unsure = False

    async def _recall(self) -> None:
        next_seq = self.ledger.next_seq
        await self._db.rollback()
        ledger = await load_ledger(self._db)
        self.ledger = replace(ledger, next_seq=max(ledger.next_seq, next_seq))
        self._unsure = False

    async def _follow_disk(self) -> None:
        """On a full disk whose reserve is given up the log is brought home, and only pages that are freed are used."""
        self._tight = not self._ballast.held and self._ballast.disk_full()
        pages = self._max_pages
        if self._tight:
            with contextlib.suppress(sqlite3.Error):  # somebody else may have taken the room
                await first_row(self._db, "PRAGMA wal_checkpoint(RESTART)")
            (pages,) = await first_row(self._db, "PRAGMA page_count")
        await first_row(self._db, f"PRAGMA max_page_count = {pages}")


def _meaning(error: sqlite3.Error) -> FlipError | sqlite3.Error:
    return meaning(error, "the outbox", room="make room on the disk, or raise outbox.max_bytes")


def _insert(first: Seq, priority: Priority, events: list[bytes]) -> Change:
    if priority in BULK:
        rows = [seal(first, events, bulk=True)]
    else:
        rows = [seal(Seq(seq), [event], bulk=False) for seq, event in enumerate(events, first)]
    values = [(row.first, row.count, row.size, row.content, row.crc) for row in rows]
    return Change(sql.INSERT.format(table=_table(priority)), values)


def _remember(named: Iterable[tuple[Seq, str]]) -> list[Change]:
    rows = list(named)
    return [Change(sql.ONCE, rows), Change(sql.FORGET, [(sql.KEYS,)])] if rows else []


def _gap(priority: Priority, first: Seq, count: int, reason: str) -> Gap:
    return Gap(priority=priority, first=first, last=Seq(first + count - 1), count=count, reason=reason)


def _table(priority: Priority) -> str:
    return priority.name.lower()
