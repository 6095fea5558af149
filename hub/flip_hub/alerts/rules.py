"""The rules that ship: what each finds, how long it must hold before an alert opens, and be gone before it closes."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from msgspec import Struct

from flip_hub.alerts.facts import DeviceFacts, Facts
from flip_hub.settings import AlertsSection
from flip_wire.health import Severity

RECENTLY = 900.0
"""Seconds in which restarts and refused logins are counted."""
_MIB = 2**20
_DAY = 86400.0


class Finding(Struct, frozen=True, kw_only=True):
    subject: str
    text: str
    device: DeviceFacts | None = None
    run_id: str = ""
    path: str = ""
    """Of the cause on the console."""


Find = Callable[[Facts, AlertsSection], Iterable[Finding]]


class Rule(Struct, frozen=True, kw_only=True):
    code: str
    title: str
    severity: Severity
    help: str
    """What to do."""
    find: Find
    holds: float = 0.0
    """Seconds that it must be found before an alert opens."""
    clears: float = 60.0
    """Seconds that it must not be found before the alert is resolved: what comes and goes is one alert."""


def _of(device: DeviceFacts, text: str) -> Finding:
    return Finding(subject=device.id, text=text, device=device, path=f"/devices/{device.id}")


def _unknown(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    for device in facts.devices:
        if device.last_seen is not None and facts.now - device.last_seen > limits.device_silent:
            yield _of(device, f"unknown since {_when(device.last_seen)}")


def _backlog(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    for device in facts.devices:
        if device.backlog >= limits.device_backlog:
            yield _of(device, f"{device.backlog} events wait in its outbox")


def _disk(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    for device in facts.devices:
        if device.disk_free is not None and device.disk_free < limits.device_disk * _MIB:
            yield _of(device, f"{device.disk_free // _MIB} MiB are free on its disk")


def _mode(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    for device in facts.devices:
        if device.mode not in ("", "normal"):
            yield _of(device, f"its agent has failed several times in a row and is in {device.mode} mode")


def _clone(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    for device in facts.devices:
        if device.clone:
            yield _of(device, "two agents live with this device's key")


def _critical(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    for device in facts.devices:
        if device.critical:
            yield _of(device, "it reports: " + "; ".join(device.critical))


def _losses(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    for loss in facts.losses:
        device = facts.names.get(loss.device_id, DeviceFacts(id=loss.device_id, name=loss.device_id))
        yield _of(device, f"it had to drop {loss.count} events: {loss.reason}")


def _rollbacks(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    for told in facts.rollbacks:
        device = facts.names.get(told.device_id, DeviceFacts(id=told.device_id, name=told.device_id))
        text = f"{told.model} went from version {told.version} back to {told.to_version}: {told.reason}"
        subject = f"{told.device_id} {told.model} {told.version}"
        yield Finding(subject=subject, text=text, device=device, path=f"/devices/{device.id}")


def _rollouts(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    for rollout in facts.rollouts:
        text = f"version {rollout.version} of {rollout.model} was taken back from the fleet: {rollout.reason}"
        yield Finding(subject=rollout.id, text=text, path=f"/rollouts/{rollout.id}")


def _stalled(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    for run in facts.runs:
        if not run.ended and facts.now - run.moved_at > limits.run_stalled:
            yield Finding(
                subject=run.id, text=f"{run.app} has made no step since {_when(run.moved_at)}",
                run_id=run.id, path=f"/runs/{run.id}",
            )  # fmt: skip


def _waits(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    for run in facts.runs:
        if not run.ended and run.reason:
            yield Finding(subject=run.id, text=f"{run.app}: {run.reason}", run_id=run.id, path=f"/runs/{run.id}")


def _failed(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    for run in facts.runs:
        if run.failed:
            yield Finding(subject=run.id, text=f"{run.app}: {run.reason}", run_id=run.id, path=f"/runs/{run.id}")


def _certificates(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    for section, ends in facts.hub.certificates.items():
        if ends - facts.now < limits.certificate_days * _DAY:
            yield Finding(subject=f"certificate {section}", text=f"the certificate of [{section}] ends {_when(ends)}")


def _hub_disk(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    if facts.hub.disk_free < limits.hub_disk * _MIB:
        yield Finding(subject="hub disk", text=f"{facts.hub.disk_free // _MIB} MiB are free in hub.state")


def _superlink(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    if not facts.hub.superlink_ready:
        yield Finding(subject="superlink", text="Flower's SuperLink is not ready: no run goes on")
    elif facts.hub.superlink_starts >= limits.superlink_starts:
        yield Finding(subject="superlink", text=f"it was started {facts.hub.superlink_starts} times in 15 minutes")


def _logins(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    if facts.hub.refused_logins >= limits.refused_logins:
        yield Finding(subject="logins", text=f"{facts.hub.refused_logins} logins were refused in 15 minutes")


def _audit(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    if facts.hub.audit_broken:
        yield Finding(subject="audit", text=facts.hub.audit_broken)


def _tokens(facts: Facts, limits: AlertsSection) -> Iterator[Finding]:
    for token in facts.tokens:
        text = f"{token.username}'s API token {token.name!r} ends {_when(token.expires_at)}"
        yield Finding(subject=f"token {token.id}", text=text)


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
_TABLE: tuple[tuple[str, str, Severity, Find, float, float, str], ...] = (
    # code, title, severity, what finds it, holds, clears, what to do
    ("device-unknown", "Device is silent", WARNING, _unknown, 0, 0, "see whether it has power and a network"),
    ("device-backlog", "Backlog on a device", WARNING, _backlog, 60, 120, "see whether its link is too slow"),
    (
        "device-disk",
        "A device's disk is nearly full",
        WARNING,
        _disk,
        30,
        300,
        "flip-agent doctor says where",
    ),
    ("device-mode", "Device is in safe mode", CRITICAL, _mode, 0, 60, "flip-agent doctor on the device says why"),
    (
        "device-clone",
        "Device was cloned",
        CRITICAL,
        _clone,
        0,
        60,
        "stop one, enrol it with a key of its own",
    ),
    ("device-critical", "Device reports a critical condition", CRITICAL, _critical, 30, 120, "see its page"),
    ("data-dropped", "Device had to drop events", WARNING, _losses, 0, 300, "see which on its page"),
    ("rollback", "Device went back to an earlier model", WARNING, _rollbacks, 0, 300, "see the version's quality"),
    ("rollout", "Rollout was rolled back", CRITICAL, _rollouts, 0, 300, "see which gate failed on its page"),
    ("run-stalled", "Run stands still", WARNING, _stalled, 0, 30, "see its log and which devices it waits for"),
    ("run-waits", "Round without quorum", WARNING, _waits, 120, 30, "wake devices, or ask for fewer"),
    ("run-failed", "Run has failed", WARNING, _failed, 0, 300, "see its log"),
    ("certificate", "Certificate is near its end", WARNING, _certificates, 0, 60, "renew it; no restart is needed"),
    ("hub-disk", "The hub's disk is nearly full", CRITICAL, _hub_disk, 10, 300, "make room in hub.state"),
    ("superlink", "SuperLink is down or restarts", CRITICAL, _superlink, 60, 300, "see superlink/superlink.log"),
    ("logins", "Many logins are refused", WARNING, _logins, 0, 600, "flip-hub audit list says from where"),
    ("audit", "Audit was tampered with", CRITICAL, _audit, 0, 0, "flip-hub audit verify; see who can write to MongoDB"),
    ("token-ends", "API token is about to expire", INFO, _tokens, 0, 60, "make another one in time"),
)

RULES = tuple(
    Rule(code=code, title=title, severity=severity, help=help, find=find, holds=holds, clears=clears)
    for code, title, severity, find, holds, clears, help in _TABLE
)
