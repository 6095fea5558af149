"""What people have one device do once, and what came of it."""

from enum import StrEnum
from typing import Annotated, NewType

from msgspec import Meta, Struct

ActionId = NewType("ActionId", str)
"""`act-` and 12 hexadecimal digits."""

MOST_LOG = 256 * 2**10
"""Bytes of logs, compressed, that come with a result."""
MOST_TEXT = 8_000
"""Characters of what a result says."""
MOST_INPUT = 64 * 2**10
"""Characters of the request that a model is tried with."""
FOLLOWED = 300.0
"""Seconds."""


class ActionKind(StrEnum):
    RESTART = "restart"
    """Of the agent, with all its processes."""
    ROLLBACK = "rollback"
    """Back to the model version before."""
    COLLECT_LOGS = "collect-logs"
    DOCTOR = "doctor"
    """Look for what is wrong; nothing is mended."""
    FOLLOW_LOGS = "follow-logs"
    """New lines of all its logs become events `log` for `FOLLOWED` seconds; done as soon as that has begun."""
    TRY = "try"
    """Have the model that it serves compute an answer."""


class Action(Struct, frozen=True, kw_only=True):
    id: ActionId
    kind: str
    """An `ActionKind`, or one that only newer agents know: it is answered as failed."""
    expires_at: float
    """By the hub's clock; it is not begun later."""
    model: str = ""
    """To roll back or try; empty where the device has only one."""
    reason: str = ""
    input: str = ""
    """To try a model with: as JSON, a request of the Open Inference Protocol, as its `infer` takes it."""


class Outcome(StrEnum):
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    """It came too late to the device, and was not begun."""


class ActionResult(Struct, frozen=True, kw_only=True):
    """Travels as the telemetry event `action`; the hub keeps the log with the action, not with the event."""

    id: ActionId
    outcome: Outcome
    exit_status: Annotated[int, Meta(ge=-255, le=255)] = 0
    text: Annotated[str, Meta(max_length=MOST_TEXT)] = ""
    at: float = 0.0
    """By the hub's clock, as the device knows it."""
    log: Annotated[bytes, Meta(max_length=MOST_LOG)] = b""
    """Text, zstd."""
