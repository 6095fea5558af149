"""How long a server asks to be left alone: `Retry-After` (RFC 9110, 10.2.3), in seconds or as a date."""

import contextlib
import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

MOST = 3600.0
"""Seconds that are granted; a server that asks for more is asked again sooner."""


class Headers(Protocol):
    """Of an answer; names in any case."""

    def get(self, name: str, /) -> str | None: ...


def retry_after(headers: Headers) -> float | None:
    """Seconds from now; None when it is not asked for, or not in a way that can be read.

    A date is held against the server's own clock (`Date`): the one here may be wrong by hours.
    """
    text = headers.get("Retry-After") or ""
    with contextlib.suppress(ValueError):
        return _granted(float(text))
    if (until := _moment(text)) is None:
        return None
    now = _moment(headers.get("Date") or "") or datetime.now(UTC)
    return _granted((until - now).total_seconds())


def _granted(seconds: float) -> float | None:
    return None if math.isnan(seconds) else min(max(seconds, 0.0), MOST)


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
