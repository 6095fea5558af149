"""A folder that belongs to one process at a time."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from flip_runtime.errors import ConfigError


@contextmanager
def owned(folder: Path, program: str, setting: str) -> Generator[None]:
    """A lock that the kernel drops with the process; it is on the folder itself, so that no file is left behind.

    Raises `ConfigError` when another process has it; `program` and `setting` are for its words.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        hint = f"stop it, or give this one another {setting}"
        raise ConfigError(f"another {program} uses {folder}", hint=hint) from error
    finally:
        os.close(handle)
