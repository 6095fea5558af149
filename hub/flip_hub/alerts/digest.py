"""What a notice says: one for everything that is owed, however much it is. Pure."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

from flip_hub.alerts.schemas import Alert, Notice, Owed, Silence
from flip_wire.health import Severity

LISTED = 20
"""Alerts of one rule that are told one by one; of the others only how many there are."""
NAMED = 100
"""Ids of alerts in a notice."""
_WORST_FIRST = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


def to_tell(owed: Iterable[Alert], silences: Sequence[Silence], now: float, group_wait: float) -> list[Alert]:
    """All that is owed and not silenced, once the oldest has waited for others to go with; nothing before."""
    told = [alert for alert in owed if not any(silence.covers(alert, now) for silence in silences)]
    waited = max((now - alert.updated_at for alert in told), default=-1.0)
    return told if waited >= group_wait else []


def notice_of(alerts: Sequence[Alert], channel: str, now: float) -> Notice:
    """Its id follows from what it tells: the same is never told twice over one channel."""
    opened = [alert for alert in alerts if alert.owed is Owed.OPENED]
    resolved = [alert for alert in alerts if alert.owed is Owed.RESOLVED]
    key = " ".join(sorted(f"{alert.id}:{alert.owed}" for alert in alerts))
    return Notice(
        id=f"notice-{hashlib.sha256(f'{channel} {key}'.encode()).hexdigest()[:24]}",
        channel=channel,
        made_at=now,
        opened=[alert.id for alert in opened[:NAMED]],
        resolved=[alert.id for alert in resolved[:NAMED]],
        subject=_subject(opened, resolved),
        text="\n".join([*_part("New", opened), *_part("Resolved", resolved)]),
    )


def _subject(opened: Sequence[Alert], resolved: Sequence[Alert]) -> str:
    if not opened:
        return f"[FLIP] resolved: {_brief(resolved)}"
    worst = next(level for level in _WORST_FIRST if any(alert.severity is level for alert in opened))
    return f"[FLIP] {worst}: {_brief(opened)}"


def _brief(alerts: Sequence[Alert]) -> str:
    if len(alerts) == 1:
        return " ".join(f"{alerts[0].title} {alerts[0].name or alerts[0].run_id}".split())
    kinds = Counter(alert.title for alert in alerts)
    told = ", ".join(f"{title} ({count})" for title, count in kinds.most_common(3))
    return told if len(kinds) <= 3 else f"{told}, ..."


def _part(head: str, alerts: Sequence[Alert]) -> list[str]:
    lines: list[str] = []
    for level in _WORST_FIRST:
        for title in sorted({alert.title for alert in alerts if alert.severity is level}):
            same = [alert for alert in alerts if alert.title == title and alert.severity is level]
            lines += [f"{head}, {level}: {title} ({len(same)})", *(_line(alert) for alert in same[:LISTED])]
            lines += [f"  ... and {len(same) - LISTED} more"] if len(same) > LISTED else []
            lines.append("")
    return lines


def _line(alert: Alert) -> str:
    return "  " + " ".join(filter(None, (f"{alert.name}:" if alert.name else "", alert.text, alert.url)))
