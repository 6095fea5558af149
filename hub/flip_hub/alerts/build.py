"""Alerts, put together."""

from dataclasses import dataclass

from flip_hub.alerts.channels import Channel, Mail, Webhook
from flip_hub.alerts.courier import Courier
from flip_hub.alerts.service import ALERTS_CHANGED, AlertWatch
from flip_hub.alerts.sources.chain import ChainWatch
from flip_hub.alerts.sources.look import Sources, Starts
from flip_hub.alerts.sources.store import SourceStore
from flip_hub.alerts.store import AlertStore
from flip_hub.audit.build import head_file
from flip_hub.audit.store import AuditStore
from flip_hub.credentials import api_certificate, gateway_certificate
from flip_hub.live import LiveHub
from flip_hub.mongo import Database
from flip_hub.settings import Settings


@dataclass(frozen=True)
class AlertDuties:
    """Of the hub that holds the lease."""

    watch: AlertWatch
    courier: Courier


def build_alerts(settings: Settings, database: Database, live: LiveHub, superlink: Starts) -> AlertDuties:
    """Raises `ConfigError`."""
    store, api = AlertStore(database), api_certificate(settings)
    certificates = {"fleet": gateway_certificate(settings)} | ({} if api is None else {"hub": api})
    chain = ChainWatch(AuditStore(database), head_file(settings))
    sources = Sources(SourceStore(database, settings.alerts), settings.hub.state, certificates, superlink, chain)
    courier = Courier(
        store, channels(settings), group_wait=settings.alerts.group_wait, changed=lambda: live.publish(ALERTS_CHANGED)
    )
    watch = AlertWatch(store, sources, courier, live, settings.alerts, settings.hub.public_url)
    return AlertDuties(watch, courier)


def channels(settings: Settings) -> list[Channel]:
    """Those that are set up. Raises `ConfigError`."""
    mail: list[Channel] = [Mail(settings.mail)] if settings.mail.host else []
    return mail + ([Webhook(settings.webhook)] if settings.webhook.url else [])
