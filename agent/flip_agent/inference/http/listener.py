"""Where `serve` listens: a bound port, TLS where it is set up, and the uvicorn server behind it.

Another interface than loopback is refused unless each request must show a token: anybody on that network could use the
models, and give feedback that this device learns from.
"""

import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Generator

import uvicorn
from litestar.types import ASGIApp

from flip_agent.inference.http.connection import Connection
from flip_agent.settings import InferenceSection
from flip_runtime.errors import ConfigError
from flip_runtime.systemd import inherited_sockets

STOP_WITHIN = 10
"""Seconds for what is in flight after SIGTERM."""
_BACKLOG = 1024


def listen(where: InferenceSection) -> socket.socket:
    """The socket that systemd holds, or one of its own. Raises `ConfigError` when it must not or cannot listen."""
    if where.token_file is None and not is_loopback(where.host):
        raise ConfigError(
            f"inference.host {where.host} is no loopback address, and anybody on that network could use the models",
            hint="set inference.token_file to a file with a secret, or inference.host to 127.0.0.1",
        )
    if held := inherited_sockets():
        return _taken_over(held, where)
    listener = socket.socket(socket.AF_INET6 if ":" in where.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((where.host, where.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise ConfigError(
            f"cannot listen on port {where.port} of {where.host}: {reason}", hint="set inference.port to a free port"
        ) from error
    listener.setblocking(False)
    return listener


def _taken_over(held: list[socket.socket], where: InferenceSection) -> socket.socket:
    """Another address than the settings' would be open though they do not say so."""
    listener, *others = held
    for other in others:
        other.close()
    address, port = listener.getsockname()[:2] if listener.family != socket.AF_UNIX else (listener.getsockname(), 0)
    wanted = "127.0.0.1" if where.host == "localhost" else where.host
    if others or (address, port) != (wanted, where.port):
        listener.close()
        raise ConfigError(
            f"systemd listens on {address}:{port}, but inference says {where.host}:{where.port}",
            hint="set ListenStream= of the flip-inference@ socket to the latter: systemctl edit, an empty line first",
        )
    listener.setblocking(False)
    return listener


def url(where: InferenceSection) -> str:
    scheme = "http" if where.certificate is None else "https"
    return f"{scheme}://{f'[{where.host}]' if ':' in where.host else where.host}:{where.port}"


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Server(uvicorn.Server):
    """uvicorn would end the process by raising the signal again; here the rest is closed first."""

    def __init__(self, app: ASGIApp, tls: ssl.SSLContext | None) -> None:
        super().__init__(_config(app, tls))

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = True


def _config(app: ASGIApp, tls: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",  # it runs on ours
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # each request that is none would be a warning
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=STOP_WITHIN,
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )
