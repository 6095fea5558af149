"""Alerts over HTTP."""

from enum import StrEnum

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from flip_hub.alerts.schemas import Alert, AlertRule, Notice, Silence, SilenceRequest
from flip_hub.alerts.service import AlertService
from flip_hub.api.pages import Page, Wanted
from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Me


class AlertStatus(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"
    ALL = "all"


_RESOLVED = {AlertStatus.OPEN: False, AlertStatus.RESOLVED: True, AlertStatus.ALL: None}


class AlertController(Controller):
    path = "/api/v1/alerts"
    tags = ("alerts",)

    @get(guards=[needs(Permission.ALERTS_READ)])
    async def list_alerts(
        self,
        alerts: NamedDependency[AlertService],
        wanted: NamedDependency[Wanted],
        status: FromQuery[AlertStatus] = AlertStatus.OPEN,
        rule: FromQuery[str] = "",
        device: FromQuery[str] = "",
        run: FromQuery[str] = "",
    ) -> Page[Alert]:
        """Newest first; those that are open, unless another status is asked for."""
        return await alerts.page(wanted, resolved=_RESOLVED[status], rule=rule, device=device, run=run)

    @get("/rules", guards=[needs(Permission.ALERTS_READ)], sync_to_thread=False)
    def list_rules(self, alerts: NamedDependency[AlertService]) -> list[AlertRule]:
        """What is looked for."""
        return alerts.rules()

    @get("/notices", guards=[needs(Permission.ALERTS_READ)])
    async def list_notices(
        self, alerts: NamedDependency[AlertService], wanted: NamedDependency[Wanted]
    ) -> Page[Notice]:
        """What was told by mail and webhook, and what became of it; newest first."""
        return await alerts.notices(wanted)

    @post("/{alert:str}/acknowledge", guards=[needs(Permission.ALERTS_OPERATE)], status_code=200)
    async def acknowledge_alert(
        self, alerts: NamedDependency[AlertService], me: NamedDependency[Me], alert: FromPath[str]
    ) -> Alert:
        """Somebody looks after it."""
        return await alerts.acknowledge(alert, me.username)


class SilenceController(Controller):
    path = "/api/v1/alert-silences"
    tags = ("alerts",)

    @get(guards=[needs(Permission.ALERTS_READ)])
    async def list_silences(
        self, alerts: NamedDependency[AlertService], wanted: NamedDependency[Wanted]
    ) -> Page[Silence]:
        """Those that are not over, the one that ends last first."""
        return await alerts.silences(wanted)

    @post(guards=[needs(Permission.ALERTS_OPERATE)])
    async def add_silence(
        self, alerts: NamedDependency[AlertService], me: NamedDependency[Me], data: JSONBody[SilenceRequest]
    ) -> Silence:
        """What matches is kept and shown, and nobody is told of it."""
        return await alerts.silence(data, me.username)

    @delete("/{silence:str}", guards=[needs(Permission.ALERTS_OPERATE)], status_code=200)
    async def end_silence(self, alerts: NamedDependency[AlertService], silence: FromPath[str]) -> Silence:
        """From now on it counts no more."""
        return await alerts.end_silence(silence)
