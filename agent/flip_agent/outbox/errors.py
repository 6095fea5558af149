"""What SQLite says about the outbox, by who must act."""

import sqlite3

from flip_runtime.errors import Corrupt, FlipError, Unavailable


class Full(Unavailable):
    """The file has reached its size, or the disk is full."""


def is_full(error: sqlite3.Error) -> bool:
    return _code(error) == sqlite3.SQLITE_FULL


def meaning(error: sqlite3.Error) -> FlipError | sqlite3.Error:
    """Time heals a disk that is full or fails; a damaged file this process must replace."""
    match _code(error):
        case sqlite3.SQLITE_FULL:
            return Full(f"the outbox is full: {error}", hint="make room on the disk, or raise outbox.max_bytes")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return Corrupt(f"the outbox is damaged: {error}")
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN:
            return Unavailable(f"the outbox cannot be written: {error}", hint="check the disk of agent.state")
        case _:
            return error


def _code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
