"""What the hub's parts count, as metrics: a part keeps plain numbers and knows nothing of who reads them."""

from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.superlink import Superlink
from flip_hub.live import LiveHub
from flip_hub.observability.metrics import Metrics, one


def part_instruments(metrics: Metrics, *, live: LiveHub, superlink: Superlink, mailboxes: Mailboxes) -> None:
    metrics.gauge("flip.live.readers", "Consoles that follow live.", one(lambda: live.readers))
    metrics.gauge("flip.gateway.waiting", "Pulls that the gateway holds back.", one(lambda: mailboxes.waiting))
    metrics.gauge("flip.superlink.up", "Whether Flower's SuperLink is ready.", one(lambda: superlink.ready))
    metrics.counter("flip.superlink.boots", "How often it has become ready.", one(lambda: superlink.boots))
