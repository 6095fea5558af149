"""Outbox files that could not be read: the newest three are kept for people to look at, `outbox.db.damaged-1` first."""

import contextlib
import os
import sqlite3
from pathlib import Path

from msgspec.structs import replace

from flip_agent.outbox.ledger import Ledger, new_ledger
from flip_agent.outbox.schema import HELD, READ_LEDGER, read_ledger
from flip_runtime.errors import Corrupt
from flip_wire.telemetry import Gap, Priority, Seq

KEPT = 3


def set_aside(path: Path, error: Corrupt, known: Ledger | None) -> tuple[Path, Ledger]:
    """Moves the file away; gives its place, and the accounts of its successor, in which the loss is counted."""
    aside = move_aside(path)
    ledger = known or accounts_of(aside)
    reason = f"outbox file unreadable, kept as {aside.name}: {error}"
    if ledger is not None:
        return aside, ledger.successor(reason)
    gap = Gap(priority=Priority.ALERT, first=Seq(0), last=Seq(0), count=0, reason=f"number unknown; {reason}")
    return aside, new_ledger().lost(gap)


def move_aside(path: Path) -> Path:
    """With its log; the name is free afterwards."""
    for number in range(KEPT - 1, 0, -1):
        _move(_aside(path, number), _aside(path, number + 1))
    _move(path, _aside(path, 1))
    return _aside(path, 1)


def accounts_of(aside: Path) -> Ledger | None:
    """What a damaged file still tells of what it held; None when it tells nothing."""
    with contextlib.closing(sqlite3.connect(aside, isolation_level=None)) as db:
        try:
            (found,) = db.execute(READ_LEDGER).fetchall()
            return read_ledger(*found)
        except (sqlite3.Error, Corrupt, ValueError):
            return _counted(db)


def _counted(db: sqlite3.Connection) -> Ledger | None:
    """Without its ledger: what is in the tables, which may be a little more than had to be delivered."""
    ledger, readable = new_ledger(), False
    for priority in Priority:
        with contextlib.suppress(sqlite3.Error, OverflowError):
            count, last = db.execute(HELD.format(table=priority.name.lower())).fetchone()
            readable = True
            if isinstance(count, int) and isinstance(last, int) and 0 < count < last:
                ledger = replace(ledger.added(priority, count), next_seq=Seq(max(ledger.next_seq + count, last)))
    return ledger if readable else None


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.damaged-{number}")


def _move(path: Path, to: Path) -> None:
    if not path.exists():
        return
    for suffix in ("", "-wal", "-shm"):
        Path(f"{to}{suffix}").unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{to}{suffix}")
