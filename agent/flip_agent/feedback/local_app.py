"""The Unix socket of `serve`: the one place where samples are read, by programs of this user."""

import asyncio
import logging
import socket
from pathlib import Path

from litestar.types import ASGIApp

from flip_agent.inference.http.listener import Server
from flip_agent.local.listening import listening_socket
from flip_runtime.errors import ConfigError

log = logging.getLogger(__name__)


async def serve_locally(path: Path, app: ASGIApp) -> None:
    """A service. Without the socket inference goes on: only samples cannot be read then. Raises `Unavailable` while
    its disk is full."""
    try:
        with listening_socket(path) as listener:
            listener.setblocking(False)
            await _LocalServer(app, tls=None).answer(listener)
    except ConfigError as error:
        log.error("samples cannot be read on this device", extra={"reason": str(error)})


class _LocalServer(Server):
    async def answer(self, listener: socket.socket) -> None:
        """Until it is cancelled. Not `serve`: its main loop wakes ten times a second, for nothing that is used here."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=[listener])
        try:
            await asyncio.Event().wait()
        finally:
            await self.shutdown(sockets=[listener])
