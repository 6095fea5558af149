"""Where a lab writes: its folder, and the file that its report goes to; both are tried before anything is started."""

import contextlib
import os
import shutil
import tempfile
import traceback
from collections.abc import Generator
from pathlib import Path

from flip_runtime.errors import ConfigError

_SETTINGS = "FLIP_"
"""How variables begin that a hub and its agents read."""


def forget_settings() -> None:
    """What the environment says is of a real hub and its devices: the lab's own must not write to their folders or
    their registry."""
    for name in [name for name in os.environ if name.startswith(_SETTINGS)]:
        del os.environ[name]


def check_report(path: Path | None) -> None:
    """Raises `ConfigError` when no file can be written there."""
    if path is None:
        return
    hint = "name a file in a folder that is there and can be written"
    if path.is_dir():
        raise ConfigError(f"--report {path} is a folder", hint=hint)
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            pass
    except OSError as error:
        raise ConfigError(f"--report {path}: {error.strerror}", hint=hint) from error


@contextlib.contextmanager
def folder_of(kept: Path | None) -> Generator[Path]:
    """The one that was named, which must be empty, or one that is gone afterwards. Where an error of the lab names
    a file in it, the logs stay. Raises `ConfigError`."""
    if kept is not None:
        yield _empty(kept)
        return
    folder = Path(tempfile.mkdtemp(prefix="flip-lab-"))
    try:
        yield folder
    except Exception as error:
        if str(folder) in "".join(traceback.format_exception(error)):
            _leave_logs(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    except BaseException:  # it was interrupted
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _empty(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        full = any(folder.iterdir())
    except OSError as error:
        hint = "name a folder that can be made and written"
        raise ConfigError(f"--keep {folder}: {error.strerror}", hint=hint) from error
    if full:
        raise ConfigError(f"--keep {folder} is not empty", hint="name a new one: a lab begins with nothing")
    return folder.resolve()


def _leave_logs(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for path in list(folder.rglob("*")):
            if not path.is_dir() and path.suffix != ".log":
                path.unlink(missing_ok=True)
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
