"""`flip-agent serve`: answers with the newest good model, with or without hub and `flip-agent run`. No torch here.

It listens before any model is loaded, so that a restart refuses nobody; SIGTERM lets what is in flight finish.
"""

import asyncio
import contextlib
import logging
import signal
import socket

import uvloop

from flip_agent.feedback.local_app import serve_locally
from flip_agent.feedback.routes import reading, writing
from flip_agent.feedback.sample_store import SampleStore
from flip_agent.inference.admission import Admission
from flip_agent.inference.credentials import Credentials, read_credentials
from flip_agent.inference.engine import Engine
from flip_agent.inference.front import Front
from flip_agent.inference.infer import InferEndpoint
from flip_agent.inference.latency import Latencies
from flip_agent.inference.listener import Server, listen, url
from flip_agent.inference.metrics import Metrics
from flip_agent.inference.routes import create_app, local_app
from flip_agent.inference.run_link import RunLink
from flip_agent.inference.served_models import ServedModels
from flip_agent.inference.traffic import TrafficCount
from flip_agent.inference.waking import rest
from flip_agent.models.store import ModelStore
from flip_agent.settings import InferenceSection, Settings
from flip_runtime.errors import ConfigError, Fatal
from flip_runtime.supervisor import Service, supervise
from flip_wire.models import Manifest

log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Returns after SIGTERM or SIGINT. Raises `ConfigError`."""
    where = settings.inference
    credentials = read_credentials(where)
    with contextlib.closing(listen(where)) as listener:
        uvloop.run(_serve(settings, listener, credentials))


async def _serve(settings: Settings, listener: socket.socket, credentials: Credentials) -> None:
    limits = settings.inference
    metrics, latencies = Metrics(), Latencies()
    models = ServedModels(
        ModelStore(settings.agent.state / "models"),
        max_rows=limits.max_rows,
        max_queue=limits.max_queue,
        executed=metrics.executed,
    )
    samples = SampleStore(settings.agent.state / "serve" / "default" / "samples.db", settings.samples)

    def manifest_of(model: str) -> Manifest:
        return models.find(model)[1].manifest

    own_url = url(limits)
    engine = Engine(models, [metrics, latencies, samples.predictions])
    traffic = TrafficCount("default", models, metrics, latencies)
    link = RunLink(settings.agent.run_socket, models, own_url, traffic)
    infer = InferEndpoint(engine, limits.max_body)
    app = create_app(models, metrics, writing(samples, manifest_of, limits.max_body))
    front = Front(Admission(limits.names, credentials.token), infer, app)
    server = Server(front, credentials.tls)
    local = local_app([*writing(samples, manifest_of, limits.max_body), *reading(samples)])
    local_socket = settings.agent.sockets / "serve-default.sock"
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    log.info("listening", extra={"url": own_url})
    try:
        async with asyncio.TaskGroup() as group:
            services = [
                Service("models", link.run),
                Service("samples", samples.run),
                Service("local socket", lambda: serve_locally(local_socket, local)),
                Service("rest", lambda: rest(lambda: models.all, limits.keep_alive)),
            ]
            if limits.grpc:
                services.append(Service("grpc", lambda: _serve_grpc(limits, credentials, engine)))
            beside = group.create_task(supervise(services))
            await server.serve(sockets=[listener])
            beside.cancel()
    except* (ConfigError, Fatal) as errors:
        raise errors.exceptions[0] from None
    finally:
        await samples.close()
        models.close()


async def _serve_grpc(where: InferenceSection, credentials: Credentials, engine: Engine) -> None:
    """Beside HTTP, which need not wait for the library's import."""
    from flip_agent.inference.grpc.server import GrpcServer, Where
    from flip_agent.inference.grpc.service import InferenceService

    place = Where(
        host=where.host,
        port=where.port,
        token=credentials.token,
        certificate=credentials.certificate,
        private_key=credentials.private_key,
    )
    await GrpcServer(place, InferenceService(engine), where.max_body).run()
