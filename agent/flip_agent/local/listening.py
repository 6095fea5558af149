"""Unix sockets of the agent: for this user alone, made anew by each process that listens, removed when it ends."""

import contextlib
import errno
import os
import socket
from collections.abc import Generator
from pathlib import Path

from flip_runtime.errors import ConfigError, Unavailable

PATH_LIMIT = 107
"""Bytes of a socket's path that the kernel takes."""
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@contextlib.contextmanager
def listening_socket(path: Path) -> Generator[socket.socket]:
    """Raises `ConfigError` when it cannot be made, `Unavailable` when only its disk is full."""
    if (length := len(os.fsencode(path))) > PATH_LIMIT:
        hint = f"set agent.runtime to a shorter folder, for example /run/flip (at most {PATH_LIMIT} bytes in all)"
        raise ConfigError(f"the path of the socket has {length} bytes: {path}", hint=hint)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # left by a process that was killed
            listener.bind(str(path))
            path.chmod(0o600)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise Unavailable(f"cannot make {path}: {error.strerror}", hint="make room on its disk") from error
            hint = "set agent.runtime to a folder of this user"
            raise ConfigError(f"cannot listen on {path}: {error.strerror}", hint=hint) from error
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)
