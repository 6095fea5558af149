"""The command line's session: where the hub is and who we are, kept between calls in a file of mode 0600."""

import os
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from flip_runtime.atomic import write_file
from flip_runtime.errors import ConfigError, Rejected

_LOG_IN = "run flip-hub login URL --username NAME"


class SavedSession(Struct, frozen=True, kw_only=True):
    url: str
    username: str
    token: str
    expires_at: float


def session_path() -> Path:
    """`$XDG_CONFIG_HOME/flip/session.json`."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "flip" / "session.json"


def save_session(session: SavedSession) -> Path:
    path = session_path()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(path, msgspec.json.encode(session))
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", hint="set XDG_CONFIG_HOME") from error
    return path


def load_session() -> SavedSession:
    """Raises `Rejected` when there is none that is still good."""
    path = session_path()
    try:
        session = msgspec.json.decode(path.read_bytes(), type=SavedSession)
    except FileNotFoundError as error:
        raise Rejected("not logged in", hint=_LOG_IN) from error
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}", hint=_LOG_IN) from error
    if session.expires_at <= time.time():
        raise Rejected("the login has expired", hint=_LOG_IN)
    return session
