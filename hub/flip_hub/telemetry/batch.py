"""A batch off the wire: bounded while it is decompressed, and each event checked before anything is stored."""

import io
import re
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
from flip_wire.telemetry import Batch, Event, Gap, Priority, Seq, Stamp

T = TypeVar("T")

MAX_SENT = 2**20
"""Bytes of a batch as it comes."""
MAX_PLAIN = 16 * 2**20
"""Bytes once decompressed."""
MAX_EVENTS = 10_000
_INT64 = range(-(2**63), 2**63)
"""What the registry can hold."""
_LONG = re.compile(rb"\d{19}")
"""In JSON, what may be a number that it cannot hold."""

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
_UNPACK = zstandard.ZstdDecompressor().decompress


class CheckedBatch(Struct, frozen=True, kw_only=True):
    batch: Batch
    size: int
    """Bytes, decompressed."""
    bodies: list[Any]
    """Of the kinds the hub acts on decoded, in the order of the events."""

    def counted_in(self, before: Intake) -> Intake:
        """How far the device's telemetry is counted with this batch; the same batch again changes nothing."""
        intake, epoch = before.in_epoch(self.batch.epoch), self.batch.epoch
        mark, priority = intake.mark(epoch, self.batch.priority), self.batch.priority
        fresh = [(event, body) for event, body in self._pairs() if event.seq > mark]
        if not fresh:
            return intake
        dropped = sum(body.count for _, body in fresh if isinstance(body, Gap))
        intake = intake.marked(epoch, priority, max(event.seq for event, _ in fresh))
        if epoch == intake.epoch:
            intake = replace(
                intake,
                health=max([intake.health, *(e.seq for e, body in fresh if isinstance(body, HealthReport))]),
                state=max([intake.state, *(e.seq for e, body in fresh if isinstance(body, ReportedState))]),
            )
        return replace(intake, accepted=intake.accepted + len(fresh), dropped=min(intake.dropped + dropped, 2**53))

    def newest_health(self, since: Intake) -> HealthReport | None:
        """None unless the batch holds a newer one than was known."""
        return self._newest(HealthReport, since, since.in_epoch(self.batch.epoch).health)

    def newest_state(self, since: Intake) -> ReportedState | None:
        return self._newest(ReportedState, since, since.in_epoch(self.batch.epoch).state)

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

    def _newest(self, kind: type[T], since: Intake, known: Seq) -> T | None:
        if since.in_epoch(self.batch.epoch).epoch != self.batch.epoch:
            return None  # of an outbox file that the device has given up
        found = [(e.seq, b) for e, b in self._pairs() if isinstance(b, kind) and e.seq > known]
        return max(found, key=lambda pair: pair[0])[1] if found else None

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
    return CheckedBatch(batch=batch, size=len(plain), bodies=[body for _, body in pairs])


def decompress(content: bytes) -> bytes:
    """Stops at the limit, whatever the frame's header promises."""
    try:
        if 0 < zstandard.frame_content_size(content) <= MAX_PLAIN:
            return _UNPACK(content, allow_extra_data=False)  # never more than the header says
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
        if event.kind in _KNOWN and _LONG.search(event.body) and not _storable(msgspec.to_builtins(body)):
            raise ValueError("a number needs more than 64 bits")
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
