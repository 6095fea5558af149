"""`flip-agent status`: what the running daemon says of itself, for people and as JSON."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from flip_agent.local import LINE_LIMIT, FromRun, Hello, Status, StatusRequest
from flip_runtime.errors import Unavailable

NOT_RUNNING = 3
"""Exit status, as of `systemctl status`."""
_WITHIN = 10.0


def ask_status(path: Path) -> Status:
    """Raises `Unavailable` when no daemon answers on the socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_WITHIN)
            connection.connect(str(path))
            for message in (Hello(role="cli"), StatusRequest()):
                connection.sendall(msgspec.json.encode(message) + b"\n")
            with connection.makefile("rb") as lines:
                answer = msgspec.json.decode(lines.readline(LINE_LIMIT), type=FromRun)
    except (OSError, msgspec.DecodeError) as error:
        hint = "start it with: flip-agent run (or: systemctl start flip-agent)"
        raise Unavailable(f"flip-agent is not running: nothing answers on {path}", hint=hint) from error
    if not isinstance(answer, Status):
        raise Unavailable(f"flip-agent answered with {type(answer).__name__}", hint="is it another version?")
    return answer


def render(status: Status, now: float | None = None) -> str:
    rows = list(_rows(status, time.time() if now is None else now))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


def _rows(status: Status, now: float) -> Iterator[tuple[str, str]]:
    health, reported = status.health, status.reported
    yield "device", f"{status.name} ({status.device_id or 'not enrolled'})"
    yield "hub", f"{status.hub or 'none'}, {status.hub_detail}"
    yield "training", reported.training
    for model in reported.serving:
        yield "serving", f"{model.model} version {model.version} for {_span(now - model.since)}, {model.url}"
    if not reported.serving:
        yield "serving", "nothing yet"
    for failure in reported.failures:
        yield "refused", f"{failure.model} version {failure.version}: {failure.reason}"
    waiting = f"{health.outbox_depth} events wait"
    if health.outbox_oldest is not None:
        waiting += f", the oldest for {_span(now - health.outbox_oldest)}"
    yield "outbox", f"{waiting}, {health.dropped} dropped"
    yield "process", f"up {_span(health.uptime)}, {health.rss / 2**20:.0f} MiB"
    yield "disk", f"{health.disk_free / 2**30:.1f} GiB free"
    for condition in health.conditions:
        yield str(condition.severity), f"{condition.title}: {condition.text}"


def _span(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`, `2.1 d`."""
    if seconds < 90:
        return f"{max(0.0, seconds):.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} d"
