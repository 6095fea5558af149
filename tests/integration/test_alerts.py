"""Alerts from what devices do to somebody's mailbox: real port, registry, SMTP server and webhook."""

import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from alert_receivers import MailServer, WebhookServer
from alert_rig import QUICK, SECRET, alerting, alerts, delivered, notices, until, with_mail, with_webhook
from core_hub import CoreHub, log_batch, problem, running_core
from flip_hub.alerts.build import channels
from flip_hub.alerts.channels import Called, signature
from flip_hub.alerts.schemas import Notice, NoticeState, Silence
from flip_hub.auth.permissions import Role
from flip_hub.settings import MailSection, Settings, WebhookSection
from flip_hub_command import flip_hub
from flip_runtime.errors import ConfigError
from flip_wire.telemetry import Gap, Priority, Seq


async def add_silent_devices(hub: CoreHub, count: int) -> None:
    """That were last heard a minute ago."""
    devices = hub.mongo.database["devices"]
    known = await devices.find_one({})
    assert known is not None
    seen = time.time() - 60
    await devices.insert_many(
        [
            {
                **{name: value for name, value in known.items() if name not in ("node_id", "health", "reported")},
                "_id": f"dev-{n:012x}",
                "name": f"box {n}",
                "active_name": f"box {n}",
                "fingerprint": f"f{n}",
                "last_seen": seen,
            }
            for n in range(count)
        ]
    )


@pytest.mark.asyncio
async def test_a_device_that_falls_silent_is_mailed_once_and_its_return_too(folder: Path, mongo_url: str) -> None:
    server = MailServer(folder)
    server.start()
    try:
        async with running_core(folder, mongo_url) as hub, alerting(hub, with_mail(hub, server, folder)):
            device = await hub.enrol("pump")
            assert (await hub.post("/api/v1/device/telemetry", log_batch([1]), device.headers)).status_code == 200
            (alert,) = await until(lambda: alerts(hub, rule="device-unknown"))
            assert (alert.device_id, alert.name) == (device.id, "pump")
            assert alert.url.endswith(f"/devices/{device.id}")
            await until(lambda: delivered(hub, 1))
            assert (await hub.post("/api/v1/device/telemetry", log_batch([2]), device.headers)).status_code == 200
            (over,) = await until(lambda: alerts(hub, rule="device-unknown", status="resolved"))
            assert over.id == alert.id
            await until(lambda: delivered(hub, 2))
        first, second = server.mails[:2]
        assert first["Subject"] == "[FLIP] warning: Device is silent pump"
        assert device.id in first.get_payload()
        assert second["Subject"] == "[FLIP] resolved: Device is silent pump"
    finally:
        server.stop()


@pytest.mark.asyncio
async def test_ten_thousand_devices_that_fall_silent_at_once_make_one_mail(folder: Path, mongo_url: str) -> None:
    server = MailServer(folder)
    server.start()
    try:
        async with running_core(folder, mongo_url) as hub:
            await hub.enrol()
            await add_silent_devices(hub, 10_000)
            settings = with_mail(hub, server, folder)
            settings = replace(settings, alerts=replace(settings.alerts, device_silent=50.0))
            async with alerting(hub, settings):
                await until(lambda: delivered(hub, 1), within=120)
                assert await hub.mongo.database["alerts"].count_documents({"resolved_at": None}) == 10_000
                await until(lambda: _nothing_owed(hub))
        assert [mail["Subject"] for mail in server.mails] == ["[FLIP] warning: Device is silent (10000)"]
        assert len(server.mails[0].as_bytes()) < 10_000
    finally:
        server.stop()


@pytest.mark.asyncio
async def test_a_mail_server_that_is_away_and_a_restart_lose_no_notice_and_send_none_twice(
    folder: Path, mongo_url: str
) -> None:
    server = MailServer(folder)
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol("pump")
        assert (await hub.post("/api/v1/device/telemetry", log_batch([1]), device.headers)).status_code == 200
        settings = with_mail(hub, server, folder)
        async with alerting(hub, settings):
            (waiting,) = await until(lambda: _failed(hub))
            assert waiting.state is NoticeState.WAITING
            assert "mail was not taken" in waiting.error
        server.start()
        try:
            async with alerting(hub, settings):
                await until(lambda: delivered(hub, 1))
            async with alerting(hub, settings):
                await until(lambda: _nothing_owed(hub))
            assert len(server.mails) == 1
            assert waiting.id in server.mails[0]["Message-ID"]
        finally:
            server.stop()


@pytest.mark.asyncio
async def test_a_webhook_is_signed_and_tried_until_it_is_taken(folder: Path, mongo_url: str) -> None:
    with WebhookServer(failures=2).running() as hook:
        async with running_core(folder, mongo_url) as hub, alerting(hub, with_webhook(hub, hook.url, folder, 600.0)):
            device = await hub.enrol("pump")
            gap = Gap(priority=Priority.LOG, first=Seq(1), last=Seq(7), count=7, reason="disk full")
            batch = log_batch([8], kind="gap", body=msgspec.to_builtins(gap))
            assert (await hub.post("/api/v1/device/telemetry", batch, device.headers)).status_code == 200
            (notice,) = await until(lambda: delivered(hub, 1))
            assert (notice.attempts, hook.refused) == (3, 2)
        (signed, body), *_ = hook.calls
        told = msgspec.json.decode(body, type=Called)
        assert "7 events: disk full" in told.text
        assert signed == signature(SECRET.encode(), int(signed.split(",")[0].removeprefix("t=")), body)
        assert signed != signature(b"another", int(signed.split(",")[0].removeprefix("t=")), body)


@pytest.mark.asyncio
async def test_what_is_silenced_is_shown_and_not_told_until_the_silence_ends(folder: Path, mongo_url: str) -> None:
    with WebhookServer().running() as hook:
        async with running_core(folder, mongo_url) as hub:
            device = await hub.enrol("pump")
            assert (await hub.post("/api/v1/device/telemetry", log_batch([1]), device.headers)).status_code == 200
            wanted = {"why": "the roof is rebuilt", "until": time.time() + 3600, "device_id": device.id}
            problem(await hub.post("/api/v1/alert-silences", wanted, hub.as_user(Role.VIEWER)), 403)
            made = await hub.post("/api/v1/alert-silences", wanted, hub.as_user(Role.OPERATOR))
            assert made.status_code == 201, made.text
            assert made.json()["by"] == "operator"
            async with alerting(hub, with_webhook(hub, hook.url, folder)):
                (alert,) = await until(lambda: alerts(hub))
                answer = await hub.post(f"/api/v1/alerts/{alert.id}/acknowledge", {}, hub.as_user(Role.OPERATOR))
                assert answer.json()["acknowledged_by"] == "operator"
                assert hook.calls == []
                assert await notices(hub) == []
                ended = await hub.http.delete(
                    f"/api/v1/alert-silences/{made.json()['id']}", headers=hub.as_user(Role.OPERATOR)
                )
                assert ended.status_code == 200
                await until(lambda: delivered(hub, 1))
            (still,) = await alerts(hub, device=device.id)
            assert still.acknowledged_by == "operator"
            problem(await hub.post("/api/v1/alerts/alert-0/acknowledge", {}, hub.as_user()), 404)
            for days in (1, 2, 3):
                longer = {"why": f"{days} days", "until": time.time() + days * 86400}
                assert (await hub.post("/api/v1/alert-silences", longer, hub.as_user())).status_code == 201
            page = await hub.http.get("/api/v1/alert-silences?limit=2", headers=hub.as_user())
            rest = await hub.http.get(page.links["next"]["url"], headers=hub.as_user())
            assert [[each["why"] for each in some.json()] for some in (page, rest)] == [
                ["3 days", "2 days"],
                ["1 days"],
            ]
            late = {"why": "x", "until": time.time() - 1}
            problem(await hub.post("/api/v1/alert-silences", late, hub.as_user()), 422)


async def _failed(hub: CoreHub) -> list[Notice]:
    return [notice for notice in await notices(hub) if notice.error]


async def _nothing_owed(hub: CoreHub) -> bool:
    return not await hub.mongo.database["alerts"].count_documents({"owed": {"$gt": ""}})


@pytest.mark.asyncio
async def test_alerts_are_listed_acknowledged_and_silenced_by_command(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:

        async def typed(*arguments: str) -> str:
            ran = await flip_hub(folder, *arguments, state=hub.settings.hub.state)
            assert ran.returncode == 0, ran.stderr
            return ran.stdout

        device = await hub.enrol("pump")
        made = await typed("alerts", "silence", "the roof is rebuilt", "--device", device.id, "--json")
        silence = msgspec.json.decode(made, type=Silence)
        assert silence.id in await typed("alerts", "silences")
        async with alerting(hub, replace(hub.settings, alerts=QUICK)):
            assert (await hub.post("/api/v1/device/telemetry", log_batch([1]), device.headers)).status_code == 200
            (alert,) = await until(lambda: alerts(hub))
        assert f"{alert.id}  warning   Device is silent  pump" in await typed("alerts", "list")
        assert "looks after it" in await typed("alerts", "ack", alert.id)
        assert alert.id not in await typed("alerts", "list", "--status", "resolved")
        assert "is over" in await typed("alerts", "unsilence", silence.id)
        assert silence.id not in await typed("alerts", "silences")


def test_a_channel_that_cannot_work_is_refused_at_the_start_and_says_why(folder: Path) -> None:
    missing = folder / "missing"
    for settings, named in (
        (Settings(mail=MailSection(host="localhost")), "mail.host"),
        (Settings(mail=MailSection(host="h", sender="a@b", to=["c@d"], ca=missing)), "mail.ca"),
        (Settings(mail=MailSection(host="h", sender="a@b", to=["c@d"], password_file=missing)), "mail.password_file"),
        (Settings(webhook=WebhookSection(url="http://localhost")), "webhook.url"),
        (Settings(webhook=WebhookSection(url="http://localhost", secret_file=missing)), "webhook.secret_file"),
    ):
        with pytest.raises(ConfigError, match=named):
            channels(settings)
    assert channels(Settings()) == []
