"""`flip-agent status`: what the running daemon says of itself, for people and as JSON."""

import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from flip_agent.local.ask import ask
from flip_agent.local.messages import Mend, Mended, Status, StatusRequest
from flip_agent.models.command import parts_sentence
from flip_wire.health import Repair
from flip_wire.inference import ModelTraffic

NOT_RUNNING = 3
"""Exit status, as of `systemctl status`."""


class NoAnswer(Struct, frozen=True):
    """What `--json` prints when no daemon answers."""

    error: str
    hint: str


def ask_status(path: Path) -> Status:
    """Raises `Unavailable` when no daemon answers on the socket."""
    return ask(path, StatusRequest(), Status)


def ask_to_mend(path: Path) -> list[Repair]:
    """What the daemon has repaired. Raises `Unavailable` when none answers on the socket."""
    return ask(path, Mend(), Mended).repairs


def render(status: Status, now: float | None = None) -> str:
    rows = list(_rows(status, time.time() if now is None else now))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


def _rows(status: Status, now: float) -> Iterator[tuple[str, str]]:
    yield "device", f"{status.name} ({status.device_id or 'not enrolled'})"
    yield "hub", f"{status.hub or 'none'}, {status.hub_detail}"
    yield from _work(status, now)
    yield from _machine(status, now)
    for repair in status.repairs:
        yield "repaired", f"{repair.code}: {repair.text}"
    for condition in status.health.conditions:
        yield str(condition.severity), f"{condition.title}: {condition.text}"


def _work(status: Status, now: float) -> Iterator[tuple[str, str]]:
    reported = status.reported
    if reported.mode != "normal":
        yield "mode", reported.mode
    because = f", waits: {reported.held_because}" if reported.held_because else ""
    yield "training", f"{reported.training}{because}"
    for model in reported.serving:
        yield "serving", f"{model.model} version {model.version} for {_span(now - model.since)}, {model.url}"
        if model.local is not None:
            yield "parts", f"{model.model}: {parts_sentence(model.local)}"
    if not reported.serving:
        yield "serving", "nothing yet"
    for failure in reported.failures:
        how = "waiting" if failure.again else "refused"
        yield how, f"{failure.model} version {failure.version}: {failure.reason}"
    for traffic in status.health.inference:
        yield "answers", _answers(traffic)
    if lost := status.health.samples_lost:
        told = ", ".join(f"{count} {why.replace('_', ' ')}" for why, count in lost.items())
        yield "let go", f"by the sample store: {told}"


def _answers(traffic: ModelTraffic) -> str:
    parts = [f"{traffic.requests} requests"]
    if traffic.requests:
        parts.append(f"the slowest hundredth {1000 * traffic.p99:.1f} ms")
    parts += [f"{traffic.refused} refused", f"{traffic.failed} failed"]
    if traffic.rollbacks:
        parts.append(f"{traffic.rollbacks} rolled back")
    return f"{traffic.model} version {traffic.version}: {', '.join(parts)}"


def _machine(status: Status, now: float) -> Iterator[tuple[str, str]]:
    health = status.health
    waiting = f"{health.outbox_depth} events wait"
    if health.outbox_oldest is not None:
        waiting += f", the oldest for {_span(now - health.outbox_oldest)}"
    yield "outbox", f"{waiting}, {health.dropped} dropped"
    if (network := health.network) is not None:
        passed = ", ".join(f"{use} {size / 2**20:.1f}" for use, size in network.passed.items() if size)
        detail = f" (passed: {passed})" if passed else ""
        yield "network", f"{network.left / 2**20:.1f} of {network.limit / 2**20:.1f} MiB left today{detail}"
    yield "process", f"up {_span(health.uptime)}, {health.rss / 2**20:.0f} MiB"
    machine = [f"load {health.load:.2f}", f"{health.disk_free / 2**30:.1f} GiB free on the disk"]
    if health.memory_available is not None:
        machine.append(f"{health.memory_available / 2**20:.0f} MiB of memory left")
    if health.temperature is not None:
        machine.append(f"{health.temperature:.0f} °C")
    yield "machine", ", ".join(machine)
    if status.hub_connected:
        yield "clock", f"{health.clock_offset:+z.1f} s to the hub's"


def _span(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`, `2.1 d`."""
    if seconds < 90:
        return f"{max(0.0, seconds):.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} d"
