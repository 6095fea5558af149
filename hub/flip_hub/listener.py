"""A port and the uvicorn server behind it, as part of a daemon: it ends when cancelled, and knows no signals."""

import asyncio
import contextlib
import errno
import resource
import socket
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, NoReturn

import uvicorn

from flip_hub.tls import ServerCertificate
from flip_runtime.errors import ConfigError, Unavailable

STOP_WITHIN = 3
"""Seconds that answers in progress get when the hub stops."""
KEEP_ALIVE = 75
"""Seconds: longer than a long poll, so that a device keeps its connection."""
LONGEST_FRAME = 64 * 1024
"""Bytes that a WebSocket takes at once."""

_BACKLOG = 4096
"""Connections that wait to be taken: after a restart all devices come at once. The kernel's limit is as high."""

ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]


def server_config(
    app: ASGIApplication,
    certificate: ServerCertificate | None,
    *,
    http: Any = "httptools",
    lifespan: bool = False,
    websockets: bool = False,
    proxies: Sequence[str] = (),
) -> uvicorn.Config:
    """With the limits and habits that all ports of the hub have in common; TLS with a certificate, for which this
    raises `ConfigError`.

    `http` is what makes the protocol of a connection; `proxies` are addresses whose `X-Forwarded-For` is believed.
    """
    context = None if certificate is None else certificate.context()
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=http,
        ws="websockets-sansio" if websockets else "none",
        ws_max_size=LONGEST_FRAME,
        lifespan="on" if lifespan else "off",
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        ssl_context_factory=None if context is None else lambda *_: context,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=STOP_WITHIN,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="warning",
    )


async def serve(
    config: uvicorn.Config,
    listener: socket.socket,
    on_stop: Callable[[], None],
    certificate: ServerCertificate | None = None,
) -> NoReturn:
    """Until it is cancelled; `on_stop` then ends long polls, which would otherwise use up the time there is."""
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    watching = None if certificate is None else asyncio.create_task(certificate.watch())
    try:
        await asyncio.shield(serving)
        raise Unavailable("the server on this port has ended")
    except asyncio.CancelledError:
        on_stop()
        server.should_exit = True
        await serving
        raise
    finally:
        if watching is not None:
            watching.cancel()


def open_many_files() -> None:
    """As many as this process may have: each device keeps two connections, and the usual limit is 1,024 files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def listening(host: str, port: int, section: str) -> socket.socket:
    """A bound socket. Raises `ConfigError` that names the setting in `section`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = f"set {section}.port to a free one, or stop what uses it"
            raise ConfigError(f"port {port} on {host} is taken", hint=hint) from error
        hint = f"correct {section}.host and {section}.port"
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}", hint=hint) from error
    except OverflowError as error:
        raise ConfigError(f"{port} is no port", hint=f"correct {section}.port") from error


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are the daemon's."""
        yield
