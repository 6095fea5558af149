"""Where the time went on a device, in OpenTelemetry's terms; travels as the telemetry event `spans`.

Ids are derived from what both ends know, so that the hub's spans of a message join the device's without a context being
sent. A span whose times are not known is left out, never guessed.
"""

import hashlib
from typing import Annotated

from msgspec import Meta, Struct

MOST_SPANS = 16
"""Of one event: a message makes six, a rollout six."""
MOST_TEXT = 512
"""Characters of an error or an attribute."""

TraceId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", max_length=32)]
SpanId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$", max_length=16)]
_Seconds = Annotated[float, Meta(ge=0, le=1e11)]
_Name = Annotated[str, Meta(min_length=1, max_length=64)]
_Text = Annotated[str, Meta(max_length=MOST_TEXT)]
_Id = Annotated[str, Meta(max_length=128)]


class Span(Struct, frozen=True, kw_only=True):
    trace_id: TraceId
    span_id: SpanId
    parent_id: Annotated[str, Meta(pattern="^([0-9a-f]{16})?$", max_length=16)] = ""
    """Empty for the root."""
    name: _Name
    """Of a message: `message`, and under it `receive`, `wait`, `train`, `deliver` and `settle`; of a model version:
    `rollout`, and under it `verify`, `fetch`, `prepare`, `try` and `activate`."""
    start: _Seconds
    """By the device's wall clock as it stood when the event was made."""
    duration: _Seconds
    error: _Text = ""
    attributes: Annotated[dict[_Name, _Text], Meta(max_length=16)] = {}
    """`interrupted`: the process or the machine ended meanwhile, and the work went on later; `paused`: seconds of it
    that the governor held it; `fate` of a message, as `SessionEvent.step`; `attempts`, `model` and `version`."""


class Spans(Struct, frozen=True, kw_only=True):
    """All of one trace that the device made."""

    spans: Annotated[list[Span], Meta(min_length=1, max_length=MOST_SPANS)]
    run_id: _Id = ""
    """Flower's number of the run, as the device knows it; empty when the trace is of no message."""
    message_id: _Id = ""


def trace_of_message(run_id: str, message_id: str) -> TraceId:
    """`run_id` is Flower's number of the run."""
    return hashlib.sha256(f"message {run_id} {message_id}".encode()).hexdigest()[:32]


def trace_of_rollout(manifest: str) -> TraceId:
    """Of a model version by its manifest's SHA-256: the same on every device."""
    return hashlib.sha256(f"rollout {manifest}".encode()).hexdigest()[:32]


def span_id(trace_id: TraceId, name: str) -> SpanId:
    """Of a name that a trace has once."""
    return hashlib.sha256(f"{trace_id} {name}".encode()).hexdigest()[:16]
