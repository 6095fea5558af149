"""Alerts of the recorded fleet, and how the recorded hub answers about them."""

from collections.abc import Callable, Sequence
from typing import Any

import fleet
from litestar import Request, get
from litestar.params import FromQuery
from litestar.types import ControllerRouterHandler
from msgspec.structs import replace

from flip_hub.alerts.routes import AlertStatus
from flip_hub.alerts.schemas import Alert, Notice, NoticeState, Silence
from flip_wire.health import Severity

Guard = Callable[[Request[Any, Any, Any]], None]


def alerts() -> list[Alert]:
    """Newest first."""
    silent, disk, backlog = "orchard-gateway-with-a-long-name-07", "Device has little disk", "Device has a backlog"
    return [
        _alert(1, "device-disk", disk, Severity.CRITICAL, "press-line-3", 40 * fleet.MINUTE),
        _alert(2, "device-silent", "Device is silent", Severity.WARNING, silent, 3.2 * fleet.HOUR),
        _alert(3, "device-backlog", backlog, Severity.WARNING, "clinic-aarhus-02", 20 * fleet.HOUR, over=fleet.HOUR),
    ]


def _alert(
    number: int, rule: str, title: str, severity: Severity, name: str, ago: float, over: float | None = None
) -> Alert:
    known = next(device for device in fleet.devices() if device.name == name)
    return Alert(
        id=f"alert-{number:012x}",
        rule=rule,
        title=title,
        severity=severity,
        text="31 MiB free, 200 are needed" if number == 1 else "nothing was heard of it",
        subject=known.id,
        name=name,
        device_id=known.id,
        opened_at=fleet.NOW - ago,
        updated_at=fleet.NOW - ago,
        resolved_at=None if over is None else fleet.NOW - over,
        acknowledged_at=None if number == 1 else fleet.NOW - ago / 2,
        acknowledged_by="" if number == 1 else "ada",
    )


def _notice(subject: str, channel: str, state: NoticeState, attempts: int) -> Notice:
    return Notice(
        id=f"notice-{channel}",
        channel=channel,
        state=state,
        made_at=fleet.NOW - 2400,
        opened=[],
        resolved=[],
        subject=subject,
        text="",
        attempts=attempts,
    )


class RecordedAlerts:
    def __init__(self, guard: Guard) -> None:
        self.known: list[Alert] = []
        self._guard = guard

    def handlers(self) -> Sequence[ControllerRouterHandler]:
        recorded = self

        @get("/api/v1/alerts")
        async def listed(
            request: Request[Any, Any, Any], status: FromQuery[AlertStatus] = AlertStatus.OPEN
        ) -> list[Alert]:
            recorded._guard(request)
            wanted = {AlertStatus.OPEN: (True,), AlertStatus.RESOLVED: (False,), AlertStatus.ALL: (True, False)}[status]
            return [each for each in recorded.known if (each.resolved_at is None) in wanted]

        @get("/api/v1/alert-silences")
        async def silences(request: Request[Any, Any, Any]) -> list[Silence]:
            recorded._guard(request)
            if not recorded.known:
                return []
            until = fleet.NOW + 8 * fleet.HOUR
            return [Silence(id="s-1", why="the hall is rewired", by="ada", since=fleet.NOW, until=until, tag="hall-2")]

        @get("/api/v1/alerts/notices")
        async def notices(request: Request[Any, Any, Any]) -> list[Notice]:
            recorded._guard(request)
            if not recorded.known:
                return []
            told = _notice("Device has little disk: press-line-3", "mail", NoticeState.DELIVERED, 1)
            error = "hooks.example answers 502"
            return [told, replace(_notice("Device is silent", "webhook", NoticeState.WAITING, 4), error=error)]

        return [listed, silences, notices]
