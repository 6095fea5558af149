"""Which alerts are open, and how a look at the facts changes that: pure, without a clock.

A finding opens one alert, once it has held for as long as its rule says, and the alert stays the same until it has been
gone for as long as the rule says: no flapping, and nothing is told twice.
"""

import secrets
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from flip_hub.alerts.facts import Facts
from flip_hub.alerts.rules import RULES, Finding, Rule
from flip_hub.alerts.schemas import Alert, Owed
from flip_hub.settings import AlertsSection

UPDATED_EVERY = 60.0
"""Seconds between changes of an alert's text: a number in it may change with each heartbeat."""

Key = tuple[str, str]
"""Rule and subject."""


class Changes(Struct, frozen=True):
    opened: list[Alert]
    updated: list[Alert]
    resolved: list[Alert]

    def __bool__(self) -> bool:
        return bool(self.opened or self.updated or self.resolved)


class Board:
    def __init__(self, open_alerts: Iterable[Alert], limits: AlertsSection, console: str) -> None:
        """`console`: its address, for links."""
        self._open: dict[Key, Alert] = {(alert.rule, alert.subject): alert for alert in open_alerts}
        self._found_since: dict[Key, float] = {}
        self._gone_since: dict[Key, float] = {}
        self._limits = limits
        self._console = console

    def look(self, facts: Facts) -> Changes:
        """What changes now; it is taken as done."""
        changes = Changes([], [], [])
        for rule in RULES:
            found = {(rule.code, finding.subject): finding for finding in rule.find(facts, self._limits)}
            self._open_and_update(rule, found, facts.now, changes)
            self._resolve(rule, found.keys(), facts.now, changes)
        return changes

    def _open_and_update(self, rule: Rule, found: dict[Key, Finding], now: float, changes: Changes) -> None:
        for key, finding in found.items():
            self._gone_since.pop(key, None)
            alert = self._open.get(key)
            if alert is not None:
                if alert.text != finding.text and now - alert.updated_at >= UPDATED_EVERY:
                    self._open[key] = replace(alert, text=finding.text, updated_at=now)
                    changes.updated.append(self._open[key])
            elif now - self._found_since.setdefault(key, now) >= rule.holds:
                self._open[key] = self._opened(rule, finding, now)
                changes.opened.append(self._open[key])
        for key in [key for key in self._found_since if key[0] == rule.code and key not in found]:
            del self._found_since[key]

    def _resolve(self, rule: Rule, found: Iterable[Key], now: float, changes: Changes) -> None:
        for key in self._of(rule) - set(found):
            if now - self._gone_since.setdefault(key, now) >= rule.clears:
                alert = self._open.pop(key)
                del self._gone_since[key]
                changes.resolved.append(replace(alert, resolved_at=now, updated_at=now))

    def _of(self, rule: Rule) -> set[Key]:
        return {key for key in self._open if key[0] == rule.code}

    def _opened(self, rule: Rule, finding: Finding, now: float) -> Alert:
        device = finding.device
        return Alert(
            id=f"alert-{secrets.token_hex(6)}",
            rule=rule.code,
            title=rule.title,
            severity=rule.severity,
            text=finding.text,
            subject=finding.subject,
            name="" if device is None else device.name,
            device_id="" if device is None else device.id,
            tags=[] if device is None else device.tags,
            run_id=finding.run_id,
            url=f"{self._console}{finding.path}" if finding.path else "",
            opened_at=now,
            updated_at=now,
            owed=Owed.OPENED,
        )
