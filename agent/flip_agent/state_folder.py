"""The state folder belongs to one `flip-agent run` at a time, and to nobody else."""

import errno
import os
from contextlib import AbstractContextManager
from pathlib import Path

from flip_runtime.errors import ConfigError
from flip_runtime.owned_folder import owned as owned_folder

DESIRED_FILE = "desired.json"
"""What the hub last wanted; kept so that a restart needs no hub."""

_NOT_OURS = "give it to this user, or set agent.state"
_READ_ONLY = "mount it writable, or set agent.state; a disk that fails is made read-only by the kernel, dmesg tells"


def make_state_folder(state: Path) -> None:
    """Raises `ConfigError` that names the path when it cannot be made or used."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        hint = _READ_ONLY if error.errno == errno.EROFS else _NOT_OURS
        raise ConfigError(f"cannot make the state folder {state}: {error.strerror}", hint=hint) from error
    if os.statvfs(state).f_flag & os.ST_RDONLY:
        raise ConfigError(f"cannot write the state folder {state}: {os.strerror(errno.EROFS)}", hint=_READ_ONLY)
    if not os.access(state, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError(f"cannot read and write the state folder {state}", hint=_NOT_OURS)


def owned(state: Path) -> AbstractContextManager[None]:
    """It belongs to one `flip-agent run` at a time. Raises `ConfigError` when to another."""
    return owned_folder(state, "flip-agent run", "agent.state")
