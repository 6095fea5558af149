"""Alerts: found by the hub that holds the lease, acknowledged and silenced by people over any hub."""

import asyncio
import logging
import secrets
import time
from typing import NoReturn

from flip_hub.alerts.board import Board
from flip_hub.alerts.courier import Courier
from flip_hub.alerts.rules import RULES
from flip_hub.alerts.schemas import LONGEST_SILENCE, Alert, AlertRule, Notice, Silence, SilenceRequest
from flip_hub.alerts.sources.look import Sources
from flip_hub.alerts.store import AlertStore
from flip_hub.api.pages import Page, Wanted
from flip_hub.live import ListGrew, Listing, LiveHub, More
from flip_hub.problem import NotFound, Unprocessable
from flip_hub.settings import AlertsSection

log = logging.getLogger(__name__)

_LONGEST_REASON = 500
ALERTS_CHANGED = ListGrew(data=More(of=Listing.ALERTS, id=""))
"""One frame, however many there are: whoever shows alerts fetches them again."""


class AlertService:
    """What people ask of alerts."""

    def __init__(self, store: AlertStore, live: LiveHub) -> None:
        self._store = store
        self._live = live

    def rules(self) -> list[AlertRule]:
        return [AlertRule(code=rule.code, title=rule.title, severity=rule.severity, help=rule.help) for rule in RULES]

    async def page(self, wanted: Wanted, *, resolved: bool | None, rule: str, device: str, run: str) -> Page[Alert]:
        """Newest first."""
        return await self._store.page(wanted, resolved=resolved, rule=rule, device_id=device, run_id=run)

    async def acknowledge(self, alert_id: str, by: str) -> Alert:
        """Raises `NotFound`."""
        alert = await self._store.acknowledge(alert_id, by, time.time())
        if alert is None:
            raise NotFound(f"no alert {alert_id[:80]!r}", hint="GET /api/v1/alerts lists them")
        self._live.publish(ALERTS_CHANGED)
        return alert

    async def silences(self, wanted: Wanted) -> Page[Silence]:
        """Those that are not over, the one that ends last first."""
        return await self._store.silences_page(wanted, time.time())

    async def silence(self, request: SilenceRequest, by: str) -> Silence:
        """Raises `Unprocessable`."""
        now = time.time()
        since = now if request.since is None else request.since
        if not since < request.until <= since + LONGEST_SILENCE or request.until <= now:
            raise Unprocessable("until must lie ahead, by a year at most", hint="seconds since 1970")
        if not 0 < len(request.why.strip()) <= _LONGEST_REASON:
            raise Unprocessable(f"why must have 1 to {_LONGEST_REASON} characters", hint="others will want to know")
        if request.rule and request.rule not in {rule.code for rule in RULES}:
            raise Unprocessable(f"there is no rule {request.rule[:80]!r}", hint="GET /api/v1/alerts/rules lists them")
        silence = Silence(
            id=f"silence-{secrets.token_hex(6)}",
            why=request.why,
            by=by,
            since=since,
            until=request.until,
            rule=request.rule,
            device_id=request.device_id,
            tag=request.tag,
        )
        await self._store.add_silence(silence)
        self._live.publish(ALERTS_CHANGED)
        return silence

    async def end_silence(self, silence_id: str) -> Silence:
        """Raises `NotFound`."""
        silence = await self._store.end_silence(silence_id, time.time())
        if silence is None:
            raise NotFound(f"no silence {silence_id[:80]!r}", hint="GET /api/v1/alert-silences lists them")
        self._live.publish(ALERTS_CHANGED)
        return silence

    async def notices(self, wanted: Wanted) -> Page[Notice]:
        return await self._store.notices(wanted)


class AlertWatch:
    """What finds alerts."""

    def __init__(
        self,
        store: AlertStore,
        sources: Sources,
        courier: Courier,
        live: LiveHub,
        limits: AlertsSection,
        console: str,
    ) -> None:
        self._store = store
        self._sources = sources
        self._courier = courier
        self._live = live
        self._limits = limits
        self._console = console

    async def run(self) -> NoReturn:
        """Only on the hub that holds the lease; until it is cancelled. Raises `DatabaseDown`."""
        board = Board(await self._store.open_alerts(), self._limits, self._console)
        while True:
            changes = board.look(await self._sources.look())
            if changes:
                await self._store.take(changes)
                self._live.publish(ALERTS_CHANGED)
                log.info("alerts changed", extra={"opened": len(changes.opened), "resolved": len(changes.resolved)})
            await self._courier.gather()
            await asyncio.sleep(self._limits.interval)
