"""Alerts of a hub on a real port, looked for and told as by the holder of the lease."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from alert_receivers import PASSWORD, USER, MailServer
from core_hub import CoreHub
from flip_hub.alerts.build import build_alerts
from flip_hub.alerts.schemas import Alert, Notice, NoticeState
from flip_hub.alerts.sources.look import Starts
from flip_hub.auth.permissions import Role
from flip_hub.settings import AlertsSection, MailSection, Settings, WebhookSection

SECRET = "a secret that both know"
QUICK = AlertsSection(interval=0.2, group_wait=0.3, device_silent=2.0)


async def until(true: Callable[[], Awaitable[Any]], within: float = 60.0) -> Any:
    async with asyncio.timeout(within):
        while not (found := await true()):
            await asyncio.sleep(0.05)
    return found


@asynccontextmanager
async def alerting(hub: CoreHub, settings: Settings) -> AsyncGenerator[None]:
    """What the holder of the lease does, until it is left."""
    duties = build_alerts(settings, hub.mongo.database, hub.core.live, Starts(lambda: True, lambda: 1))
    running = [asyncio.create_task(duties.watch.run()), asyncio.create_task(duties.courier.run())]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        for task in (await asyncio.wait(running))[0]:
            assert task.cancelled(), task.exception()


async def alerts(hub: CoreHub, **asked: str) -> list[Alert]:
    answer = await hub.http.get("/api/v1/alerts", params=asked, headers=hub.as_user(Role.VIEWER))
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=list[Alert])


async def notices(hub: CoreHub) -> list[Notice]:
    answer = await hub.http.get("/api/v1/alerts/notices", headers=hub.as_user(Role.VIEWER))
    return msgspec.json.decode(answer.content, type=list[Notice])


def with_mail(hub: CoreHub, server: MailServer, folder: Path) -> Settings:
    password = folder / "mail.password"
    password.write_text(PASSWORD + "\n")
    mail = MailSection(
        host="localhost", port=server.port, ca=server.identity.ca, user=USER, password_file=password,
        sender="flip@example.org", to=["ops@example.org"],
    )  # fmt: skip
    return replace(hub.settings, alerts=QUICK, mail=mail)


def with_webhook(hub: CoreHub, url: str, folder: Path, silent: float = QUICK.device_silent) -> Settings:
    secret = folder / "webhook.secret"
    secret.write_text(SECRET)
    alerts = replace(QUICK, device_silent=silent)
    return replace(hub.settings, alerts=alerts, webhook=WebhookSection(url=url, secret_file=secret))


async def delivered(hub: CoreHub, count: int) -> list[Notice] | None:
    found = [notice for notice in await notices(hub) if notice.state is NoticeState.DELIVERED]
    return found if len(found) >= count else None
