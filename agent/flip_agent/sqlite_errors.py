"""What SQLite says about a file of this device, by who must act."""

import sqlite3

from flip_runtime.errors import Corrupt, FlipError, Unavailable


class Full(Unavailable):
    """The file has reached its size, or the disk is full."""


def is_full(error: sqlite3.Error) -> bool:
    return _code(error) == sqlite3.SQLITE_FULL


def meaning(error: sqlite3.Error, file: str, *, room: str = "make room on the disk") -> FlipError | sqlite3.Error:
    """Time heals a disk that is full or fails; a damaged file its process must replace. `room` is the way out of a
    full `file`."""
    match _code(error):
        case sqlite3.SQLITE_FULL:
            return Full(f"{file} is full: {error}", hint=room)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return Corrupt(f"{file} cannot be read: {error}")
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN:
            return Unavailable(f"{file} cannot be written: {error}", hint="make room on the disk, or check it")
        case sqlite3.SQLITE_BUSY:
            return Unavailable(f"{file} cannot be opened: {error}", hint="another process has it open")
        case _:
            return error


def _code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
