"""Actions as the API takes and shows them."""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct

from flip_wire.actions import ActionId, ActionKind
from flip_wire.fleet import DeviceId

LONGEST_LIFETIME = 30 * 24 * 3600.0
"""Seconds."""


class ActionState(StrEnum):
    QUEUED = "queued"
    """The device has not heard of it."""
    DELIVERED = "delivered"
    """It is on the device's disk."""
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    """Its time was over before the device began it; or the device had it, and has not told what came of it."""


OPEN = (ActionState.QUEUED, ActionState.DELIVERED)


class ActionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ActionKind
    model: Annotated[str, Meta(max_length=128)] = ""
    """To roll back or try; may be left out where the device serves one."""
    reason: Annotated[str, Meta(max_length=500)] = ""
    input: dict[str, Any] | None = None
    """To try a model with: a request of the Open Inference Protocol (`inputs`), at most 64 KiB."""
    lifetime: float = 3600.0
    """Seconds until it is too late to begin, at most 30 days."""


class DeviceAction(Struct, frozen=True, kw_only=True):
    id: ActionId
    device: DeviceId
    kind: str
    state: ActionState
    asked_by: str
    asked_at: float
    expires_at: float
    model: str = ""
    reason: str = ""
    delivered_at: float | None = None
    ended_at: float | None = None
    exit_status: int | None = None
    text: str = ""
    """What came of it."""
    log_size: int = 0
    """Bytes, compressed, of what came with it: `GET .../actions/{id}/log`."""
