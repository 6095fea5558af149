"""API and console on their port: uvicorn, started and stopped as one service of the hub."""

import logging
from collections.abc import Callable

import uvicorn
from litestar import Litestar

from flip_hub.listener import KEEP_ALIVE, STOP_WITHIN, listening, serve
from flip_hub.observability.requests import TracedApp
from flip_hub.settings import HubSection

log = logging.getLogger(__name__)


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
            await serve(self._config(), listener, self._on_stop)

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            TracedApp(self._app),
            loop="uvloop",
            http="httptools",
            ws="websockets-sansio",
            ws_max_size=64 * 1024,
            lifespan="on",
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=STOP_WITHIN,
            server_header=False,
            access_log=False,
            log_config=None,
            log_level="warning",
        )
