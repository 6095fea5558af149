"""Where a command has a password from: a file, or whoever sits at the terminal."""

import getpass
from pathlib import Path

from flip_hub.commands.files import read_file
from flip_runtime.errors import Rejected


def known_password(path: Path | None) -> str:
    return getpass.getpass("Password: ") if path is None else _of_file(path)


def new_password(path: Path | None) -> str:
    """Asked for twice."""
    if path is not None:
        return _of_file(path)
    password = getpass.getpass("New password: ")
    if getpass.getpass("Once more: ") != password:
        raise Rejected("the two are not the same", hint="type it again")
    return password


def _of_file(path: Path) -> str:
    return read_file(path).decode(errors="replace").strip()
