"""The command line's session: where the hub is and who we are, kept between calls in a file of mode 0600.

Several commands may run at once: of them one renews the session, the others take it over from the file.
"""

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from flip_hub.auth.schemas import Session
from flip_runtime.atomic import write_file
from flip_runtime.errors import ConfigError

LOG_IN = "run flip-hub login URL --username NAME"


class SavedSession(Struct, frozen=True, kw_only=True):
    url: str
    session: Session
    ca: str = ""
    """PEM of the authority that the hub's certificate is of; empty for those that the system trusts."""


def session_path() -> Path:
    """`$XDG_CONFIG_HOME/flip/session.json`."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "flip" / "session.json"


def save_session(saved: SavedSession) -> Path:
    path = session_path()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(path, msgspec.json.encode(saved))
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", hint="set XDG_CONFIG_HOME") from error
    return path


def load_session() -> SavedSession | None:
    path = session_path()
    try:
        return msgspec.json.decode(path.read_bytes(), type=SavedSession)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}", hint=LOG_IN) from error


def forget_session() -> None:
    session_path().unlink(missing_ok=True)


def renew_session(stale: Session, refresh: Callable[[Session], Session]) -> Session:
    """What another command has renewed meanwhile, or else what `refresh` gives, which is then in the file."""
    with _locked():
        saved = load_session()
        if saved is None or saved.session.username != stale.username:
            return refresh(stale)  # logged out, or in elsewhere: this command goes on alone
        if saved.session.token != stale.token:
            return saved.session
        following = refresh(stale)
        save_session(msgspec.structs.replace(saved, session=following))
        return following


@contextmanager
def _locked() -> Generator[None]:
    with session_path().with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
