"""The ways in which a notice reaches people. Each returns once the other side has taken it, or raises `Unavailable`."""

import asyncio
import hashlib
import hmac
import smtplib
import ssl
import time
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol

import httpx
import msgspec
from msgspec import Struct

from flip_hub.alerts.schemas import Notice
from flip_hub.settings import MailSection, WebhookSection
from flip_runtime.config import secret_of
from flip_runtime.errors import ConfigError, Unavailable

TAKES_AT_MOST = 20.0
"""Seconds."""
SIGNATURE = "Flip-Signature"
"""`t=UNIX_SECONDS,v1=HEX`: HMAC-SHA-256 with the shared secret over the seconds, a dot and the body."""


class Channel(Protocol):
    name: str

    async def deliver(self, notice: Notice) -> None:
        """Raises `Unavailable`."""
        ...


class Mail:
    """By SMTP; the server's certificate is checked."""

    name = "mail"

    def __init__(self, settings: MailSection) -> None:
        """Raises `ConfigError`."""
        if not settings.to or not settings.sender:
            raise ConfigError("mail.host is set, and nobody is named", hint="set mail.sender and mail.to")
        self._settings = settings
        self._password = (
            "" if settings.password_file is None else secret_of(settings.password_file, "mail.password_file")
        )
        self._trust = _trust(settings.ca, "mail.ca")

    async def deliver(self, notice: Notice) -> None:
        try:
            await asyncio.to_thread(self._send, self._message(notice))
        except (OSError, smtplib.SMTPException) as error:
            raise Unavailable(f"mail was not taken: {type(error).__name__}: {error}") from error

    def _message(self, notice: Notice) -> EmailMessage:
        """A mail that comes twice, because its acknowledgement was lost, has the same Message-ID."""
        message = EmailMessage()
        message["Subject"] = notice.subject
        message["From"] = self._settings.sender
        message["To"] = ", ".join(self._settings.to)
        message["Date"] = format_datetime(datetime.fromtimestamp(notice.made_at, UTC))
        message["Message-ID"] = f"<{notice.id}@{self._settings.sender.partition('@')[2].rstrip('>') or 'flip'}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(notice.text)
        return message

    def _send(self, message: EmailMessage) -> None:
        settings = self._settings
        if settings.security == "tls":
            server = smtplib.SMTP_SSL(settings.host, settings.port, timeout=TAKES_AT_MOST, context=self._trust)
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=TAKES_AT_MOST)
        with server:
            if settings.security == "starttls":
                server.starttls(context=self._trust)
            if settings.user:
                server.login(settings.user, self._password)
            server.send_message(message)


class Called(Struct, frozen=True, kw_only=True):
    """The JSON that a webhook gets."""

    id: str
    """The same when it comes twice."""
    at: float
    subject: str
    text: str
    opened: list[str]
    resolved: list[str]


class Webhook:
    name = "webhook"

    def __init__(self, settings: WebhookSection) -> None:
        """Raises `ConfigError`."""
        if settings.secret_file is None:
            raise ConfigError("webhook.url is set, and no secret", hint="set webhook.secret_file: calls are signed")
        self._url = settings.url
        self._secret = secret_of(settings.secret_file, "webhook.secret_file").encode()
        self._trust = _trust(settings.ca, "webhook.ca")

    async def deliver(self, notice: Notice) -> None:
        body = msgspec.json.encode(
            Called(
                id=notice.id,
                at=notice.made_at,
                subject=notice.subject,
                text=notice.text,
                opened=notice.opened,
                resolved=notice.resolved,
            )
        )
        headers = {"Content-Type": "application/json", SIGNATURE: signature(self._secret, int(time.time()), body)}
        try:
            async with httpx.AsyncClient(verify=self._trust, timeout=TAKES_AT_MOST) as http:
                answer = await http.post(self._url, content=body, headers=headers)
        except httpx.TransportError as error:
            raise Unavailable(f"the webhook does not answer: {type(error).__name__}") from error
        if not answer.is_success:
            raise Unavailable(f"the webhook answered {answer.status_code}")


def _trust(ca: Path | None, setting: str) -> ssl.SSLContext:
    """The system's authorities, or the one that is named. Raises `ConfigError`."""
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except OSError as error:
        raise ConfigError(f"{setting}: {ca} is no authority: {error.strerror}", hint="name a PEM file") from error


def signature(secret: bytes, at: int, body: bytes) -> str:
    mac = hmac.new(secret, f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={mac.hexdigest()}"
