"""Files that a command was told to read or write; an error names the file. Raises `ConfigError`."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from flip_runtime.atomic import write_file
from flip_runtime.errors import ConfigError, Rejected


def read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def write_public(path: Path, content: bytes) -> None:
    """For everybody to read."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, content, mode=0o644)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", hint="name another --folder") from error


@contextmanager
def content_of(path: Path) -> Generator[None]:
    """What is `Rejected` in the block is so for what the file holds."""
    try:
        yield
    except Rejected as error:
        raise Rejected(f"{path}: {error.args[0]}", hint=error.hint) from error
