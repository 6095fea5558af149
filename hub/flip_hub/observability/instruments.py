"""What the hub's parts count, as metrics: a part keeps plain numbers and knows nothing of who reads them."""

from flip_hub.federation.gateway import Gateway
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.superlink import Superlink
from flip_hub.live import LiveHub
from flip_hub.observability.metrics import Labels, Metrics, one
from flip_hub.telemetry.service import TelemetryService


def part_instruments(
    metrics: Metrics,
    *,
    live: LiveHub,
    superlink: Superlink,
    mailboxes: Mailboxes,
    gateway: Gateway,
    telemetry: TelemetryService,
) -> None:
    metrics.gauge("flip.live.readers", "Consoles that follow live.", one(lambda: live.readers))
    metrics.gauge("flip.gateway.waiting", "Calls that the gateway holds back.", one(lambda: mailboxes.waiting))
    metrics.counter("flip.gateway.calls", "Of devices, by Flower's name.", lambda: _by_name(gateway), labels=("call",))
    metrics.counter("flip.gateway.cache.hits", "Calls that the cache answered.", one(lambda: gateway.cache.hits))
    metrics.counter("flip.gateway.cache.misses", "Answers that were fetched.", one(lambda: gateway.cache.misses))
    metrics.gauge("flip.superlink.up", "Whether Flower's SuperLink is ready.", one(lambda: superlink.ready))
    metrics.counter("flip.superlink.boots", "How often it has become ready.", one(lambda: superlink.boots))
    commits = telemetry.commits
    metrics.counter("flip.ingest.batches", "Batches of telemetry that were written.", one(lambda: commits.items))
    metrics.counter("flip.ingest.groups", "Writes that they were gathered into.", one(lambda: commits.groups))
    metrics.counter("flip.ingest.events", "Events that were acknowledged.", one(lambda: telemetry.events))


def _by_name(gateway: Gateway) -> dict[Labels, float]:
    return {(name,): float(count) for name, count in gateway.calls.items()}
