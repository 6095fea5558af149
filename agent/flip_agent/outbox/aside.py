"""A damaged outbox file and its heir, in whose accounts the loss is counted.

The heir is whole on the disk (`outbox.db.next`) before the damaged file goes: after a kill in between it takes its
place at the next start, and the loss is declared all the same. The newest three damaged files are kept for people to
look at, `outbox.db.damaged-1` first.
"""

import contextlib
import logging
import os
import sqlite3
from pathlib import Path

from msgspec.structs import replace

from flip_agent.outbox.ledger import Ledger, new_ledger
from flip_agent.outbox.schema import HELD, READ_LEDGER, read_ledger
from flip_runtime.atomic import sync_folder
from flip_runtime.errors import Corrupt
from flip_wire.telemetry import Gap, Priority, Seq

log = logging.getLogger(__name__)

KEPT = 3
_PARTS = ("", "-wal", "-shm")
"""The file first: it is never found without its log."""


def heir_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")


def heirs_accounts(path: Path, error: Corrupt, known: Ledger | None) -> Ledger:
    """What is lost with the file at `path`, as far as it is `known` or the file still tells."""
    ledger = known or accounts_of(path)
    reason = f"outbox file unreadable, kept as {_aside(path, 1).name}: {error}"
    if ledger is not None:
        return ledger.successor(reason)
    return _unknown(reason)


def is_missing(path: Path) -> bool:
    """Whether there is no file, or nothing in it."""
    return not path.exists() or path.stat().st_size == 0


def accounts_of_the_missing() -> Ledger:
    """Of what somebody has removed, or a file system has lost, nothing is known but that it is lost."""
    log.error("the outbox file is missing, its events are lost")
    return _unknown("the outbox file was missing")


def give_way(path: Path) -> Path:
    """Moves the damaged file aside with its log, and the heir to its place; gives where the damaged one is now."""
    for number in range(KEPT - 1, 0, -1):
        _move(_aside(path, number), _aside(path, number + 1))
    _move(path, _aside(path, 1))
    settle(path)
    return _aside(path, 1)


def settle(path: Path) -> None:
    """Ends what a kill has interrupted. While the damaged file has its place, the heir may be a half one: it goes."""
    heir = heir_of(path)
    if not heir.exists():
        return
    if path.exists():
        _remove(heir)
    else:
        _remove(path)  # a log that is left of it is none of the heir's
        os.replace(heir, path)
    sync_folder(path.parent)


def accounts_of(path: Path) -> Ledger | None:
    """What a damaged file still tells of what it held; None when it tells nothing."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        try:
            (found,) = db.execute(READ_LEDGER).fetchall()
            return read_ledger(*found)
        except (sqlite3.Error, Corrupt, ValueError):
            return _counted(db)


def _unknown(reason: str) -> Ledger:
    gap = Gap(priority=Priority.ALERT, first=Seq(0), last=Seq(0), count=0, reason=f"number unknown; {reason}")
    return new_ledger().lost(gap)


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
    _remove(to)
    for suffix in _PARTS:
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{to}{suffix}")


def _remove(path: Path) -> None:
    for suffix in _PARTS:
        Path(f"{path}{suffix}").unlink(missing_ok=True)
