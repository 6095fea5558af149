"""`flip-agent serve`: answers with the newest good model, with or without hub and `flip-agent run`. No torch here.

It listens before any model is loaded, so that a restart refuses nobody; SIGTERM lets what is in flight finish.
"""

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import Generator

import uvicorn
import uvloop

from flip_agent.inference.engine import Engine
from flip_agent.inference.front import Front
from flip_agent.inference.infer import InferEndpoint
from flip_agent.inference.latency import Latencies
from flip_agent.inference.routes import create_app
from flip_agent.inference.run_link import RunLink
from flip_agent.inference.served_models import ServedModels
from flip_agent.models.store import ModelStore
from flip_agent.settings import InferenceSection, Settings
from flip_runtime.errors import ConfigError
from flip_runtime.supervisor import Service, supervise

log = logging.getLogger(__name__)

_STOP_WITHIN = 10
"""Seconds for what is in flight after SIGTERM."""
_MAX_CONNECTIONS = 1024
_BACKLOG = 1024


def serve(settings: Settings) -> None:
    """Returns after SIGTERM or SIGINT. Raises `ConfigError` when it must not or cannot listen where it is told to."""
    with contextlib.closing(listen(settings.inference)) as listener:
        uvloop.run(_serve(settings, listener))


def listen(where: InferenceSection) -> socket.socket:
    """Raises `ConfigError`."""
    if not _is_loopback(where.host):
        raise ConfigError(
            f"inference.host {where.host} is no loopback address, and other interfaces need authentication",
            hint="set inference.host to 127.0.0.1 and put a reverse proxy that authenticates before it",
        )
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


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _serve(settings: Settings, listener: socket.socket) -> None:
    limits, host = settings.inference, settings.inference.host
    models = ServedModels(
        ModelStore(settings.agent.state / "models"), max_rows=limits.max_rows, max_queue=limits.max_queue
    )
    url = f"http://{f'[{host}]' if ':' in host else host}:{limits.port}"
    latencies = Latencies()
    engine = Engine(models, [latencies])
    link = RunLink(settings.agent.run_socket, models, url, latencies)
    server = _Server(_uvicorn(Front(InferEndpoint(engine, limits.max_body), create_app(models))))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    log.info("listening", extra={"url": url})
    try:
        async with asyncio.TaskGroup() as group:
            beside = group.create_task(supervise([Service("models", link.run)]))
            await server.serve(sockets=[listener])
            beside.cancel()
    finally:
        models.close()


def _uvicorn(app: Front) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",  # it runs on ours
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_STOP_WITHIN,
    )


class _Server(uvicorn.Server):
    """uvicorn would end the process by raising the signal again; here the rest is closed first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = True
