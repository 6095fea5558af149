"""Alerts and silences as the API shows them."""

from enum import StrEnum

from msgspec import Struct

from flip_wire.health import Severity

LONGEST_SILENCE = 366 * 86400.0
"""Seconds."""


class Owed(StrEnum):
    """What the people who get mail have not been told."""

    NOTHING = ""
    OPENED = "opened"
    RESOLVED = "resolved"


class Alert(Struct, frozen=True, kw_only=True):
    """One thing that is wrong with one subject; the same again, after it was resolved, is another alert."""

    id: str
    rule: str
    """Code of one of `GET /api/v1/alerts/rules`."""
    title: str
    severity: Severity
    text: str
    """What is wrong, in words for people, as it was seen last."""
    subject: str
    """What it is about: the id of a device or run, a user's token, a part of the hub."""
    name: str = ""
    """Of the device, for people."""
    device_id: str = ""
    run_id: str = ""
    tags: list[str] = []
    """Of the device."""
    url: str = ""
    """Of the cause, on the console."""
    opened_at: float
    updated_at: float
    resolved_at: float | None = None
    acknowledged_at: float | None = None
    acknowledged_by: str = ""
    owed: Owed = Owed.NOTHING
    """What no mail or webhook has told yet."""


class AlertRule(Struct, frozen=True, kw_only=True):
    code: str
    title: str
    severity: Severity
    help: str


class SilenceRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /api/v1/alert-silences`: what matches is kept and shown, but not told. Empty fields match anything."""

    why: str
    until: float
    """Unix seconds."""
    since: float | None = None
    """From now on where it is left out."""
    rule: str = ""
    device_id: str = ""
    tag: str = ""


class Silence(Struct, frozen=True, kw_only=True):
    id: str
    why: str
    by: str
    since: float
    until: float
    rule: str = ""
    device_id: str = ""
    tag: str = ""

    def covers(self, alert: Alert, now: float) -> bool:
        return (
            self.since <= now < self.until
            and self.rule in ("", alert.rule)
            and self.device_id in ("", alert.device_id)
            and (not self.tag or self.tag in alert.tags)
        )


class NoticeState(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given up"


class Notice(Struct, frozen=True, kw_only=True):
    """One mail or one call of a webhook, about one alert or ten thousand."""

    id: str
    channel: str
    """`mail` or `webhook`."""
    state: NoticeState = NoticeState.WAITING
    made_at: float
    opened: list[str]
    """Ids of alerts, the first hundred."""
    resolved: list[str]
    subject: str
    text: str
    attempts: int = 0
    next_attempt: float = 0.0
    error: str = ""
    """Of the last attempt."""
    delivered_at: float | None = None
