"""What a sample file lets go, oldest first: what is too old, and what newer things need the room of.

Predictions take at most a quarter of a full file: they come by themselves, samples are somebody's work.
"""

from itertools import accumulate, takewhile
from sqlite3 import Connection
from typing import NamedTuple

from msgspec.structs import replace

from flip_agent.feedback import schema as sql
from flip_agent.feedback.accounts import Accounts, Lost

_AT_ONCE = 256
"""Rows."""
_LEAST = 2**15
"""Bytes that go together."""
_FULL = 0.9
"""Part of the file's size that contents may take; the rest is for the trees above them."""
_SHARE = 4
"""Predictions may take one part of so many."""
_PADDING = 2
"""A row of half a page may take a whole one."""


class _Row(NamedTuple):
    number: int
    at: float
    size: int


def drop_expired(db: Connection, accounts: Accounts, before: float) -> Accounts:
    """What was kept before that time."""
    while rows := list(takewhile(lambda row: row.at < before, _oldest(db, sql.OLDEST_SAMPLES))):
        accounts = _without_samples(db, accounts, rows, Lost(samples_expired=len(rows)))
    while rows := list(takewhile(lambda row: row.at < before, _oldest(db, sql.OLDEST_PREDICTIONS))):
        accounts = _without_predictions(db, accounts, rows, Lost(predictions_expired=len(rows)))
    return accounts


def make_room(db: Connection, accounts: Accounts, size: int, max_bytes: int) -> Accounts:
    """For `size` bytes; the file may still be full when there is nothing to let go."""
    wanted = size * _PADDING
    while _used(db) + wanted > max_bytes * _FULL:
        crowded = accounts.prediction_bytes * _SHARE > accounts.prediction_bytes + accounts.sample_bytes
        oldest = _oldest(db, sql.OLDEST_PREDICTIONS if crowded else sql.OLDEST_SAMPLES)
        rows = _up_to(oldest, max(_LEAST, wanted // 16))  # bit by bit, so that the share is kept
        if not rows:
            return accounts
        if crowded:
            accounts = _without_predictions(db, accounts, rows, Lost(predictions_displaced=len(rows)))
        else:
            accounts = _without_samples(db, accounts, rows, Lost(samples_displaced=len(rows)))
    return accounts


def _oldest(db: Connection, statement: str) -> list[_Row]:
    return [_Row(*row) for row in db.execute(statement, (_AT_ONCE,))]


def _up_to(rows: list[_Row], size: int) -> list[_Row]:
    """The first of them that are about so many bytes together."""
    before = (0, *accumulate(row.size for row in rows))
    return [row for row, sum_before in zip(rows, before, strict=False) if sum_before < size]


def _without_samples(db: Connection, accounts: Accounts, rows: list[_Row], lost: Lost) -> Accounts:
    db.execute(sql.DROP_SAMPLES, (rows[-1].number,))
    return replace(
        accounts,
        samples=max(0, accounts.samples - len(rows)),
        sample_bytes=max(0, accounts.sample_bytes - sum(row.size for row in rows)),
        lost=accounts.lost + lost,
    )


def _without_predictions(db: Connection, accounts: Accounts, rows: list[_Row], lost: Lost) -> Accounts:
    db.execute(sql.DROP_PREDICTIONS, (rows[-1].number,))
    db.execute(sql.DROP_FEEDBACK, (rows[-1].number,))
    return replace(
        accounts,
        predictions=max(0, accounts.predictions - len(rows)),
        prediction_bytes=max(0, accounts.prediction_bytes - sum(row.size for row in rows)),
        lost=accounts.lost + lost,
    )


def _used(db: Connection) -> int:
    """Bytes of pages in use."""
    pages, free, page = (
        db.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * page
