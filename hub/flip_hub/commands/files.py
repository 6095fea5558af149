"""Files that a command was told to read or write; an error names the file. Raises `ConfigError`."""

from pathlib import Path

from flip_runtime.atomic import write_file
from flip_runtime.errors import ConfigError


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
