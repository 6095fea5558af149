"""Where a command has a password from: a file, or whoever sits at the terminal."""

import getpass
import sys
from pathlib import Path

from flip_hub.commands.files import read_file
from flip_runtime.errors import Rejected


def known_password(path: Path | None) -> str:
    return asked("Password: ") if path is None else _of_file(path)


def new_password(path: Path | None) -> str:
    """Asked for twice."""
    if path is not None:
        return _of_file(path)
    password = asked("New password: ")
    if asked("Once more: ") != password:
        raise Rejected("the two are not the same", hint="type it again")
    return password


def asked(prompt: str, *, hint: str = "--password-file PATH") -> str:
    """Of whoever sits at the terminal. Raises `Rejected` when there is none."""
    if not sys.stdin.isatty():
        raise Rejected("there is no terminal to ask for a password", hint=hint)
    try:
        return getpass.getpass(prompt)
    except EOFError as error:
        raise Rejected("no password was typed", hint=hint) from error


def _of_file(path: Path) -> str:
    return read_file(path).decode(errors="replace").strip()
