"""API and console on their port: uvicorn, started and stopped as one service of the hub."""

import logging
from collections.abc import Callable
from functools import partial

from litestar.types import ASGIApp

from flip_hub.device_front import DeviceFront
from flip_hub.device_protocol import DeviceProtocol
from flip_hub.hardening import Hardened, KnownHosts
from flip_hub.listener import listening, serve, server_config
from flip_hub.observability.requests import RequestAccount, TracedApp
from flip_hub.settings import HubSection
from flip_hub.tls import ServerCertificate

log = logging.getLogger(__name__)


class ApiServer:
    """`on_stop` ends long polls, which would otherwise use up the time there is; `ready` is called once it listens."""

    def __init__(
        self,
        app: ASGIApp,
        settings: HubSection,
        on_stop: Callable[[], None],
        certificate: ServerCertificate | None = None,
        account: RequestAccount | None = None,
        front: DeviceFront | None = None,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._app = app
        self._settings = settings
        self._on_stop = on_stop
        self._certificate = certificate
        self._account = account
        self._front = front
        self._ready = ready

    async def run(self) -> None:
        """Until it is cancelled. Raises `ConfigError` when the port is taken, `Unavailable` when it ends by itself."""
        with listening(self._settings.host, self._settings.port, "hub") as listener:
            config = server_config(
                self._application(),
                self._certificate,
                http="httptools" if self._front is None else partial(DeviceProtocol, self._front),
                lifespan=True,
                websockets=True,
                proxies=self._settings.proxies,
            )
            log.info("api ready", extra={"url": self._settings.public_url})
            self._ready()
            await serve(config, listener, self._on_stop, self._certificate)

    def _application(self) -> TracedApp:
        hosts = KnownHosts(self._settings.names)
        hardened = Hardened(self._app, hosts, tls=self._certificate is not None)
        return TracedApp(hardened, self._account)
