"""A batch off the wire: bounded while it is decompressed, and each event checked before anything is stored."""

import io
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
import zstandard
from msgspec import Raw, Struct
from msgspec.structs import replace

from flip_hub.devices.record import Intake
from flip_hub.problem import TooLarge, Unprocessable
from flip_wire.actions import ActionResult
from flip_wire.fleet import ReportedState
from flip_wire.health import HealthReport
from flip_wire.models import RolledBack
from flip_wire.spans import Spans, trace_of_message
from flip_wire.telemetry import Batch, Event, Gap, Priority, Stamp

T = TypeVar("T")

MAX_SENT = 2**20
"""Bytes of a batch as it comes."""
MAX_PLAIN = 16 * 2**20
"""Bytes once decompressed."""
MAX_EVENTS = 10_000
_INT64 = range(-(2**63), 2**63)
"""What the registry can hold."""
_DIGITS = bytes(ord("0") if chr(byte).isdecimal() else ord(".") for byte in range(128)).ljust(256, b".")
_LONG = b"0" * 19
"""Digits of a number that may be too long, once all digits are made 0 and all else is made a point."""

_KNOWN: dict[str, Any] = {
    "health": HealthReport,
    "state": ReportedState,
    "gap": Gap,
    "rollback": RolledBack,
    "spans": Spans,
    "action": ActionResult,
}
"""Kinds the hub acts on or shows in words of their own; others are only kept."""


class _Envelope(Struct, frozen=True, kw_only=True):
    epoch: str
    priority: Priority
    events: list[Raw]
    sent: Stamp | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_EVENT = msgspec.json.Decoder(Event)
_BODIES = {kind: msgspec.json.Decoder(body) for kind, body in _KNOWN.items()}
_ANYTHING = msgspec.json.Decoder()


class _Zstd(threading.local):
    """Made once a thread: two that unpack with the same one break the process's memory."""

    def __init__(self) -> None:
        self.decompress = zstandard.ZstdDecompressor().decompress


_ZSTD = _Zstd()


class Fresh(Struct, frozen=True, kw_only=True):
    """What a batch adds to what was counted of its device before."""

    intake: Intake
    """How far the device's telemetry is counted with this batch; the same batch again changes nothing."""
    health: HealthReport | None = None
    """None unless the batch holds a newer one than was known."""
    reported: ReportedState | None = None
    reports: list[tuple[Event, HealthReport]] = []


class CheckedBatch(Struct, frozen=True, kw_only=True):
    batch: Batch
    size: int
    """Bytes, decompressed."""
    bodies: list[Any]
    """Of the kinds the hub acts on decoded, in the order of the events."""
    heartbeat: bool
    """Whether it is nothing else: health and states of the boot in which it left, which change the device's record."""

    def fresh_since(self, before: Intake) -> "Fresh":
        """What is not counted yet, in one pass: it lies on the way of each heartbeat."""
        epoch, priority = self.batch.epoch, self.batch.priority
        intake = before.in_epoch(epoch)
        mark = highest = intake.mark(epoch, priority)
        counted, dropped, health_at, state_at = 0, 0, intake.health, intake.state
        health, reported = None, None
        reports: list[tuple[Event, HealthReport]] = []
        for event, body in self._pairs():
            if event.seq <= mark:
                continue
            counted, highest = counted + 1, max(highest, event.seq)
            if isinstance(body, HealthReport):
                reports.append((event, body))
                if event.seq > health_at:
                    health_at, health = event.seq, body
            elif isinstance(body, ReportedState):
                if event.seq > state_at:
                    state_at, reported = event.seq, body
            elif isinstance(body, Gap):
                dropped += body.count
        if not counted:
            return Fresh(intake=intake)
        intake = replace(
            intake.marked(epoch, priority, highest),
            accepted=intake.accepted + counted,
            dropped=min(intake.dropped + dropped, 2**53),
        )
        if epoch != intake.epoch:  # of an outbox file that the device has given up
            return Fresh(intake=intake, reports=reports)
        return Fresh(
            intake=replace(intake, health=health_at, state=state_at), health=health, reported=reported, reports=reports
        )

    def of(self, kind: type[T]) -> list[tuple[Event, T]]:
        """Those events whose body is one, in the order of the batch."""
        return [(event, body) for event, body in self._pairs() if isinstance(body, kind)]

    def news(self, known: ReportedState | None) -> list[Event]:
        """Those that say something which neither health's history nor the state that is `known` tells."""
        kept: list[Event] = []
        for event, body in self._pairs():
            if isinstance(body, HealthReport) or (isinstance(body, ReportedState) and body == known):
                continue
            known = body if isinstance(body, ReportedState) else known
            kept.append(event)
        return kept

    def _pairs(self) -> Iterator[tuple[Event, Any]]:
        return zip(self.batch.events, self.bodies, strict=True)


def read_batch(content: bytes, encoding: str) -> CheckedBatch:
    """Raises `TooLarge`, or `Unprocessable` naming the index and sequence number of the event that is malformed."""
    plain = decompress(content) if encoding == "zstd" else content
    if encoding not in ("", "identity", "zstd"):
        raise Unprocessable(f"Content-Encoding {encoding!r} is not understood", hint="send zstd or identity")
    try:
        envelope = _ENVELOPE.decode(plain)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unprocessable(f"no batch of telemetry: {error}") from error
    if not 1 <= len(envelope.epoch) <= 64:
        raise Unprocessable("epoch must have 1 to 64 characters", hint="it is a UUID made with the outbox file")
    if not 1 <= len(envelope.events) <= MAX_EVENTS:
        raise Unprocessable(f"a batch holds 1 to {MAX_EVENTS} events", hint="split it")
    pairs = [_read_event(index, raw) for index, raw in enumerate(envelope.events)]
    events = [event for event, _ in pairs]
    batch = Batch(epoch=envelope.epoch, priority=envelope.priority, events=events, sent=envelope.sent)
    bodies = [body for _, body in pairs]
    return CheckedBatch(batch=batch, size=len(plain), bodies=bodies, heartbeat=_is_heartbeat(batch, bodies))


def _is_heartbeat(batch: Batch, bodies: list[Any]) -> bool:
    if batch.sent is None or not all(isinstance(body, HealthReport | ReportedState) for body in bodies):
        return False
    return all(event.at.boot_id == batch.sent.boot_id for event in batch.events)


def decompress(content: bytes) -> bytes:
    """Stops at the limit, whatever the frame's header promises."""
    try:
        if 0 < zstandard.frame_content_size(content) <= MAX_PLAIN:
            return _ZSTD.decompress(content, allow_extra_data=False)  # never more than the header says
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)) as reader:
            plain = reader.read(MAX_PLAIN + 1)
    except zstandard.ZstdError as error:
        raise Unprocessable(f"the batch is no zstd: {error}") from error
    if len(plain) > MAX_PLAIN:
        raise TooLarge(f"the batch has more than {MAX_PLAIN} bytes", hint="split it")
    return plain


class _Numbered(Struct, frozen=True):
    seq: int | None = None


def _read_event(index: int, raw: Raw) -> tuple[Event, Any]:
    try:
        event = _EVENT.decode(raw)
        body = _BODIES.get(event.kind, _ANYTHING).decode(event.body)
        if not (event.seq in _INT64 and event.seq >= 0 and len(event.kind) <= 64 and len(event.at.boot_id) <= 64):
            raise ValueError("seq, kind or boot_id is out of bounds")
        if event.kind in _KNOWN and _is_long(event.body) and not _storable(msgspec.to_builtins(body)):
            raise ValueError("a number needs more than 64 bits")
        if type(body) is HealthReport or type(body) is ReportedState:  # most are, and need no closer look
            return event, body
        if isinstance(body, Gap) and body.count < 0:
            raise ValueError("a gap's count is negative")
        if isinstance(body, Spans):
            _check_trace(body)
        if isinstance(body, ActionResult) and body.log:
            event = replace(event, body=Raw(msgspec.json.encode(replace(body, log=b""))))  # it is kept with the action
    except (msgspec.DecodeError, ValueError) as error:
        raise Unprocessable(f"event {index} (seq {_seq_of(raw)}) is malformed: {error}", hint="leave it out") from error
    return event, body


def _check_trace(body: Spans) -> None:
    traces = {span.trace_id for span in body.spans}
    if len(traces) > 1:
        raise ValueError("spans of more than one trace")
    if body.message_id and traces != {trace_of_message(body.run_id, body.message_id)}:
        raise ValueError("spans of another trace than their message's")


def _is_long(body: Raw) -> bool:
    """Whether it may have a number that the registry cannot hold. A regular expression takes ten times as long."""
    return _LONG in bytes(body).translate(_DIGITS)


def _storable(value: Any) -> bool:
    match value:
        case int():
            return value in _INT64
        case dict():
            return all(map(_storable, value.values()))
        case list():
            return all(map(_storable, value))
        case _:
            return True


def _seq_of(raw: Raw) -> str:
    try:
        return str(msgspec.json.decode(raw, type=_Numbered).seq)
    except (msgspec.DecodeError, ValueError):
        return "unknown"
