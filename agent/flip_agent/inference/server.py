"""`flip-agent serve`: answers with the newest good model, with or without hub and `flip-agent run`. No torch here.

It listens before any model is loaded, so that a restart refuses nobody; SIGTERM lets what is in flight finish.
"""

import asyncio
import contextlib
import logging
import signal
import socket

import uvloop

from flip_agent.inference.engine import Engine
from flip_agent.inference.front import Front
from flip_agent.inference.infer import InferEndpoint
from flip_agent.inference.latency import Latencies
from flip_agent.inference.listener import Server, listen, url
from flip_agent.inference.routes import create_app
from flip_agent.inference.run_link import RunLink
from flip_agent.inference.served_models import ServedModels
from flip_agent.models.store import ModelStore
from flip_agent.settings import Settings
from flip_runtime.supervisor import Service, supervise

log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Returns after SIGTERM or SIGINT. Raises `ConfigError`."""
    with contextlib.closing(listen(settings.inference)) as listener:
        uvloop.run(_serve(settings, listener))


async def _serve(settings: Settings, listener: socket.socket) -> None:
    limits = settings.inference
    models = ServedModels(
        ModelStore(settings.agent.state / "models"), max_rows=limits.max_rows, max_queue=limits.max_queue
    )
    own_url = url(limits)
    latencies = Latencies()
    engine = Engine(models, [latencies])
    link = RunLink(settings.agent.run_socket, models, own_url, latencies)
    server = Server(Front(InferEndpoint(engine, limits.max_body), create_app(models)))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    log.info("listening", extra={"url": own_url})
    try:
        async with asyncio.TaskGroup() as group:
            beside = group.create_task(supervise([Service("models", link.run)]))
            await server.serve(sockets=[listener])
            beside.cancel()
    finally:
        models.close()
