"""Alerts travel encrypted, to whom an authority vouches for and to nobody else: real SMTP and HTTPS servers."""

import secrets
from pathlib import Path

import pytest
from msgspec.structs import replace

from alert_receivers import PASSWORD, USER, Identity, MailServer, WebhookServer
from flip_hub.alerts.channels import Mail, Webhook
from flip_hub.alerts.schemas import Notice, NoticeState
from flip_hub.settings import MailSection, WebhookSection
from flip_runtime.errors import Unavailable

pytestmark = pytest.mark.asyncio

NOTICE = Notice(
    id="notice-1", channel="", subject="[FLIP] warning", text="a pump is silent", opened=["alert-1"], resolved=[],
    made_at=1.0, state=NoticeState.WAITING,
)  # fmt: skip


def secret_in(folder: Path, content: str) -> Path:
    path = folder / secrets.token_hex(4)
    path.write_text(content)
    return path


async def test_a_mail_server_that_speaks_tls_from_the_start_takes_alerts(folder: Path) -> None:
    server = MailServer(folder, starttls=False)
    mail = MailSection(
        host="localhost", port=server.port, security="tls", ca=server.identity.ca, user=USER, sender="flip@example.org",
        password_file=secret_in(folder, PASSWORD), to=["ops@example.org"],
    )  # fmt: skip
    server.start()
    try:
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await Mail(replace(mail, ca=None)).deliver(NOTICE)
        with pytest.raises(Unavailable, match="SMTPAuthenticationError"):
            await Mail(replace(mail, password_file=secret_in(folder, "wrong"))).deliver(NOTICE)
        assert server.mails == []
        await Mail(mail).deliver(NOTICE)
        assert [sent["Subject"] for sent in server.mails] == [NOTICE.subject]
    finally:
        server.stop()


async def test_a_webhook_whose_authority_is_named_takes_alerts_and_an_unknown_one_does_not(folder: Path) -> None:
    identity = Identity(folder, "hook")
    with WebhookServer(identity=identity).running() as hook:
        settings = WebhookSection(url=hook.url, secret_file=secret_in(folder, "both know it"), ca=identity.ca)
        for other in (None, Identity(folder, "other").ca):
            with pytest.raises(Unavailable, match="the webhook does not answer: ConnectError"):
                await Webhook(replace(settings, ca=other)).deliver(NOTICE)
        assert hook.calls == []
        await Webhook(settings).deliver(NOTICE)
        ((_, body),) = hook.calls
        assert NOTICE.text in body.decode()
