"""The API on the hub's own machine, without a login: a Unix socket that only root and the hub's user may use.

The file has mode 0600, and whoever connects is asked of the kernel who it is. They act as admins, and the audit calls
them `local:UID`. So a hub whose every admin is locked out can still be helped, and `flip-hub` works there at once.
"""

import os
import socket
import struct
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from litestar.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from flip_hub.auth.guards import LOCAL_USER
from flip_hub.listener import serve, server_config
from flip_hub.observability.requests import TracedApp
from flip_runtime.errors import ConfigError

_CREDENTIALS = struct.Struct("3i")
"""pid, uid, gid."""


class AdminSocket:
    def __init__(self, app: ASGIApp, path: Path) -> None:
        self._app = app
        self._path = path

    async def run(self) -> None:
        """Until it is cancelled. Where the kernel cannot say who connects, there is no such socket."""
        if not hasattr(socket, "SO_PEERCRED"):
            return
        with _listening(self._path) as listener:
            config = server_config(TracedApp(_AsLocal(self._app)), None)
            config.http = _PeerProtocol
            await serve(config, listener, lambda: None)


class _PeerProtocol(HttpToolsProtocol):
    """Hangs up on anybody else, and puts who it is in place of an address."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        uid = _peer(transport.get_extra_info("socket").fileno())
        self.client = f"local:{uid}", 0
        if uid not in (0, os.geteuid()):
            transport.abort()


class _AsLocal:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        address: tuple[str, int] = scope["client"]  # pyright: ignore[reportTypedDictNotRequiredAccess, reportAssignmentType]
        await self._app({**scope, LOCAL_USER: address[0]}, receive, send)  # pyright: ignore[reportArgumentType]


def _peer(descriptor: int) -> int:
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(credentials)[1]


@contextmanager
def _listening(path: Path) -> Generator[socket.socket]:
    """Raises `ConfigError`."""
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            _bind(listener, path)
        except OSError as error:
            hint = "make hub.state writable, and its path no longer than 96 characters"
            raise ConfigError(f"cannot listen on {path}: {error.strerror or error}", hint=hint) from error
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def _bind(listener: socket.socket, path: Path) -> None:
    """A socket file that a killed hub left behind gives way; the mode is right from the first moment on."""
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen()
