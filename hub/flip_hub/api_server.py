"""API and console on their port: uvicorn, started and stopped as one service of the hub."""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Generator

import uvicorn
from litestar import Litestar

from flip_hub.settings import HubSection
from flip_runtime.errors import ConfigError, Unavailable

log = logging.getLogger(__name__)

STOP_WITHIN = 3
"""Seconds that answers in progress get when the hub stops."""


class ApiServer:
    """`on_stop` ends long polls, which would otherwise use up the time there is."""

    def __init__(self, app: Litestar, settings: HubSection, on_stop: Callable[[], None]) -> None:
        self._app = app
        self._settings = settings
        self._on_stop = on_stop

    async def run(self) -> None:
        """Until it is cancelled. Raises `ConfigError` when the port is taken, `Unavailable` when it ends by itself."""
        with listening(self._settings.host, self._settings.port, "hub") as listener:
            log.info("api ready", extra={"url": f"http://{self._settings.host}:{self._settings.port}"})
            server = _Server(self._config())
            serving = asyncio.ensure_future(server.serve(sockets=[listener]))
            try:
                await asyncio.shield(serving)
                raise Unavailable("the API's server has ended")
            except asyncio.CancelledError:
                self._on_stop()
                server.should_exit = True
                await serving
                raise

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            self._app,
            loop="uvloop",
            http="httptools",
            ws="websockets-sansio",
            ws_max_size=64 * 1024,
            lifespan="on",
            timeout_keep_alive=75,  # s: longer than a long poll, so that a device keeps its connection
            timeout_graceful_shutdown=STOP_WITHIN,
            server_header=False,
            access_log=False,
            log_config=None,
            log_level="warning",
        )


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are the daemon's."""
        yield


def listening(host: str, port: int, section: str) -> socket.socket:
    """A bound socket. Raises `ConfigError` that names the setting in `section`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = f"set {section}.port to a free one, or stop what uses it"
            raise ConfigError(f"port {port} on {host} is taken", hint=hint) from error
        hint = f"correct {section}.host and {section}.port"
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}", hint=hint) from error
    except OverflowError as error:
        raise ConfigError(f"{port} is no port", hint=f"correct {section}.port") from error
