"""`flip-agent doctor`: looks at everything that a device needs, with and without a running daemon.

One verdict for each subject, with the way out. It changes nothing unless it is asked to mend; and then it leaves the
mending to the daemon, where one runs.
"""

import contextlib
import socket
import sqlite3
import ssl
import stat
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from flip_agent.device_key import KEY_FILE, load_key
from flip_agent.health.checks.check import Check
from flip_agent.health.checks.hub import skew
from flip_agent.health.conditions import CLOCK_SKEW, DATABASE_DAMAGED, DECLARED, HUB_UNREACHABLE
from flip_agent.health.device_checks import machine_checks
from flip_agent.health.hardware import Hardware
from flip_agent.hub.connection import HubConnection
from flip_agent.hub.tls import trusting
from flip_agent.identity import Identity, load_identity
from flip_agent.instances import Instances
from flip_agent.local.messages import Status
from flip_agent.looks import WITHIN, Beside, Verdict, found
from flip_agent.settings import InferenceSection, Settings
from flip_agent.state_folder import make_state_folder, owned
from flip_agent.status import ask_status, ask_to_mend
from flip_agent.watched import Watched
from flip_runtime.errors import ConfigError, FlipError, Unavailable
from flip_wire.fleet import DesiredState
from flip_wire.health import Severity


def examine(
    settings: Settings, load_desired: Callable[[Path], DesiredState], *, fix: bool, say: Callable[[str], None]
) -> list[Verdict]:
    """`say` is told what takes a while."""
    state = settings.agent.state
    try:
        make_state_folder(state)
    except ConfigError as error:
        return [Verdict(subject="state", state=Severity.CRITICAL, text=str(error))]
    afar = _asked_afar(state, say)
    daemon = _daemon(settings)
    checks = _checks(settings, load_desired(state))
    return [
        Verdict(subject="state", state="ok", text=str(state)),
        *found("identity", partial(_enrolment, state)),
        *_machine(settings, checks, daemon, fix),
        *([] if daemon is not None else _at_rest(settings)),
        *(verdict for look in afar for verdict in look.found()),
        *_running(daemon, {CLOCK_SKEW.code, *(check.declaration.code for check in checks)}),
    ]


def render(verdicts: list[Verdict]) -> str:
    width = max(len(verdict.subject) for verdict in verdicts)
    lines = [f"{verdict.state:<8}  {verdict.subject:<{width}}  {verdict.text}" for verdict in verdicts]
    repairs = [f"{'repaired':<8}  {each.subject:<{width}}  {each.repaired}" for each in verdicts if each.repaired]
    return "\n".join(lines + repairs)


def _asked_afar(state: Path, say: Callable[[str], None]) -> list[Beside]:
    """They take seconds: it is looked at the rest meanwhile."""
    try:
        identity = load_identity(state)
    except ConfigError:
        return []
    if identity is None:
        return []
    say(f"asking the hub at {identity.hub_url} ...")
    return [
        Beside(HUB_UNREACHABLE.subject, identity.hub_url, partial(_hub, identity)),
        Beside("gateway", identity.fleet_address, partial(_gateway, identity)),
    ]


def _daemon(settings: Settings) -> Status | None:
    with contextlib.suppress(Unavailable):
        return ask_status(settings.agent.run_socket)
    return None


def _enrolment(state: Path) -> Iterator[Verdict]:
    identity = load_identity(state)
    if identity is None:
        text = "not enrolled (flip-agent enrol URL --token T)"
        yield Verdict(subject="identity", state=Severity.WARNING, text=text)
        return
    yield Verdict(subject="identity", state="ok", text=f"{identity.name} ({identity.device_id})")
    key = state / KEY_FILE
    try:
        load_key(state)
    except ConfigError as error:
        yield Verdict(subject="key", state=Severity.CRITICAL, text=str(error))
        return
    if (mode := stat.S_IMODE(key.stat().st_mode)) & 0o077:
        text = f"others may read {key}: mode {mode:o} (chmod 600 {key})"
        yield Verdict(subject="key", state=Severity.CRITICAL, text=text)
    else:
        yield Verdict(subject="key", state="ok", text=str(key))


def _checks(settings: Settings, desired: DesiredState) -> list[Check]:
    return machine_checks(lambda: settings, Hardware(settings.agent.machine), Watched(desired))


def _machine(settings: Settings, checks: list[Check], daemon: Status | None, fix: bool) -> Iterator[Verdict]:
    """What is repaired is looked at again."""
    repaired: dict[str, str] = {}
    try:
        repaired = _mended(settings, checks, daemon) if fix else {}
    except (FlipError, OSError) as error:
        yield Verdict(subject="repairs", state=Severity.WARNING, text=f"not all was mended: {error}")
    for check in checks:
        declared = check.declaration
        yield from found(declared.subject, partial(_verdicts, check, repaired.get(declared.code, "")))


def _mended(settings: Settings, checks: list[Check], daemon: Status | None) -> dict[str, str]:
    if daemon is not None:
        return {repair.code: repair.text for repair in ask_to_mend(settings.agent.run_socket)}
    with owned(settings.agent.state):
        return {check.declaration.code: check.mend() for check in checks if check.look()}


def _verdicts(check: Check, repaired: str) -> Iterator[Verdict]:
    declared = check.declaration
    if wrong := check.look():
        text = f"{wrong} ({declared.hint})"
        yield Verdict(subject=declared.subject, state=declared.severity, text=text, repaired=repaired)
    else:
        yield Verdict(subject=declared.subject, state="ok", text=f"no sign of: {declared.title}", repaired=repaired)


def _at_rest(settings: Settings) -> Iterator[Verdict]:
    """What a running daemon would hold for itself."""
    yield Verdict(
        subject="daemon", state=Severity.INFO, text="not running (flip-agent run, or systemctl start flip-agent)"
    )
    yield from found(DATABASE_DAMAGED.subject, partial(_outbox, settings.agent.state))
    yield from found("port", partial(_ports, settings.inference))


def _outbox(state: Path) -> Iterator[Verdict]:
    """It is read as the daemon left it, and not changed."""
    subject, path = DATABASE_DAMAGED.subject, state / "outbox.db"
    if not path.exists():
        yield Verdict(subject=subject, state="ok", text="none yet")
        return
    try:
        with owned(state), contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
            (wrong,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except ConfigError as error:
        yield Verdict(subject=subject, state=Severity.INFO, text=f"not looked at: {error}")
        return
    except sqlite3.Error as error:
        wrong = str(error)
    if wrong == "ok":
        yield Verdict(subject=subject, state="ok", text=f"{path.name} is sound")
    else:
        text = f"{wrong} (not for --fix: flip-agent run moves it aside and begins anew when it starts; check the disk)"
        yield Verdict(subject=subject, state=DATABASE_DAMAGED.severity, text=text)


def _ports(inference: InferenceSection) -> Iterator[Verdict]:
    instances = Instances(inference)
    for name in instances.names:
        yield from _port(instances.settings(name))


def _port(inference: InferenceSection) -> Iterator[Verdict]:
    where = f"port {inference.port} of {inference.host}"
    with socket.socket(socket.AF_INET6 if ":" in inference.host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((inference.host, inference.port))
        except OSError as error:
            text = f"{where}: {error.strerror} (is it another program's? set inference.port)"
            yield Verdict(subject="port", state=Severity.WARNING, text=text)
            return
    yield Verdict(subject="port", state="ok", text=f"{where} is free for flip-agent serve")


def _hub(identity: Identity) -> Iterator[Verdict]:
    """Any answer will do: what the hub thinks of this device, the daemon finds out."""
    try:
        hub = HubConnection(identity.hub_url, ca=identity.trusted)
        answer = hub.exchange("GET", "/health/live", headers={}, within=WITHIN)
    except FlipError as error:
        yield Verdict(subject=HUB_UNREACHABLE.subject, state=HUB_UNREACHABLE.severity, text=str(error))
    else:
        hub.close()
        yield Verdict(subject=HUB_UNREACHABLE.subject, state="ok", text=f"{identity.hub_url} answers")
        if answer.hub_time is not None:
            yield _clock(answer.hub_time)


def _clock(hub_time: float) -> Verdict:
    offset = hub_time - time.time()
    if wrong := skew(offset):
        return Verdict(subject=CLOCK_SKEW.subject, state=CLOCK_SKEW.severity, text=f"{wrong} ({CLOCK_SKEW.hint})")
    return Verdict(subject=CLOCK_SKEW.subject, state="ok", text=f"{offset:+z.1f} s to the hub's")


def _gateway(identity: Identity) -> Iterator[Verdict]:
    host, _, port = identity.fleet_address.rpartition(":")
    address = identity.fleet_address
    try:
        context = trusting(identity.ca or None)
        with (
            socket.create_connection((host.strip("[]"), int(port)), timeout=WITHIN) as plain,
            context.wrap_socket(plain, server_hostname=host.strip("[]")),
        ):
            yield Verdict(subject="gateway", state="ok", text=f"{address}, TLS by the hub's own authority")
            return
    except ConfigError as error:
        text = f"{address}: {error}"
    except ssl.SSLError as error:
        text = f"{address}: {error.reason or error} (was the hub set up anew? flip-agent enrol --again)"
    except (OSError, ValueError) as error:
        text = f"{address}: {error} (is port {port} of the hub open to this network?)"
    yield Verdict(subject="gateway", state=Severity.WARNING, text=text)


def _running(daemon: Status | None, looked_at: set[str]) -> Iterator[Verdict]:
    """What only the daemon knows: not the conditions that were looked at here."""
    if daemon is None:
        return
    yield Verdict(subject="daemon", state="ok", text=f"running, mode {daemon.reported.mode}")
    subjects = {declared.code: declared.subject for declared in DECLARED}
    for condition in daemon.health.conditions:
        if condition.code not in looked_at:
            subject = subjects.get(condition.code, condition.code)
            yield Verdict(subject=subject, state=condition.severity, text=f"{condition.title}: {condition.text}")
