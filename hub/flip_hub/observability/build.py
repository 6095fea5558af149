"""The hub's account of itself, put together."""

import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from flip_hub.federation.store import RunStore
from flip_hub.mongo import Mongo
from flip_hub.observability.census import Census
from flip_hub.observability.export import Export
from flip_hub.observability.exposed import Exposed
from flip_hub.observability.metrics import Metrics
from flip_hub.observability.otlp_data import Origin
from flip_hub.observability.pulse import Ask, Pulse
from flip_hub.observability.requests import RequestAccount
from flip_hub.observability.spans import SpanQueue
from flip_hub.observability.store import CensusStore, TraceStore
from flip_hub.observability.stored_traces import StoredTraces
from flip_hub.settings import Settings
from flip_runtime.config import secret_of
from flip_runtime.supervisor import Service


@dataclass(frozen=True, kw_only=True)
class Observability:
    metrics: Metrics
    requests: RequestAccount
    exposed: Exposed
    services: list[Service]
    duties: list[Service]
    """Of the hub that holds the lease."""


def build_observability(settings: Settings, mongo: Mongo, runs: RunStore, parts: Mapping[str, Ask]) -> Observability:
    """`parts`: whose answers are timed. Raises `ConfigError`."""
    metrics, queue = Metrics(), SpanQueue()
    exporting = bool(settings.otlp.endpoint)
    requests = RequestAccount(metrics, queue, settings.otlp.sample if exporting else None)
    census = Census(CensusStore(mongo.database, settings.devices.heartbeat), metrics)
    pulse = Pulse(metrics, parts)
    token_file = settings.metrics.token_file
    token = "" if token_file is None else secret_of(token_file, "metrics.token_file")
    services, duties = [Service("pulse", pulse.run)], list[Service]()
    if exporting:
        stored = StoredTraces(TraceStore(mongo.database), runs, requests)
        export = _export(settings, queue, stored, metrics, census)
        services.append(Service("export", export.run))
        duties.append(Service("traces", lambda: mongo.keep_running(export.run_stored)))
    return Observability(
        metrics=metrics, requests=requests, exposed=Exposed(metrics, census, token), services=services, duties=duties
    )


def _export(settings: Settings, queue: SpanQueue, stored: StoredTraces, metrics: Metrics, census: Census) -> Export:
    from flip_hub.observability.otlp import Collector  # 20 MiB: only for hubs that export

    origin = Origin(version=version("flip-edge"), host=socket.gethostname(), instance=secrets.token_hex(8))
    connect = partial(Collector, settings.otlp, origin)
    return Export(connect, queue, stored, metrics, census.refresh, interval=settings.otlp.interval)
