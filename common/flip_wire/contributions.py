"""What became of a reply that a device has pushed, and the replies that came too late for their round.

Spoken with the Fleet gateway under `/v1/flip/`, signed as Flower's own calls are. A push receipt of Flower's proves
nothing: only the ServerApp's Grid knows which replies it has seen.
"""

from enum import StrEnum

from msgspec import Struct

from flip_wire.models import Sha256


class Fate(StrEnum):
    PENDING = "pending"
    """The round may still take it."""
    ACCEPTED = "accepted"
    """The ServerApp has it; the device forgets it."""
    LATE = "late"
    """The round or the run no longer takes it: the device gives it to the hub as a late contribution."""
    REFUSED = "refused"
    """It came in time and was not used, for the reason given; the device forgets it."""


class Receipt(Struct, frozen=True, kw_only=True):
    """`GET /v1/flip/receipts/{message_id}?run=RUN` (Flower's number); with `Flip-Wait: SECONDS` a pending one is held
    back."""

    message_id: str
    """Of the instruction that was answered."""
    fate: Fate
    reason: str = ""
    """Why it is late or was refused, in words for people."""
    weight: float | None = None
    """Its share in the aggregate, with the discount of a stale one; None where the strategy weighs otherwise."""
    entry: int = 0
    """Its number in the run's chain of receipts; 0 before it is there."""
    hash: str = ""
    """Of that entry."""


class LateReply(Struct, frozen=True, kw_only=True):
    """`POST /v1/flip/late`: a reply without its objects, as often as `LateNeeds` names objects that are lacking."""

    run_id: str
    """Flower's number of the run."""
    message_id: str
    message: bytes
    """Flower's protobuf of the reply, without content."""
    tree: bytes
    """Flower's protobuf of its tree of objects."""
    size: int
    """Bytes of its objects together. While too much is on its way already the answer is 429 with `Retry-After`."""
    seconds: float
    """That the ClientApp took."""
    reason: str


class LateNeeds(Struct, frozen=True, kw_only=True):
    """Objects for `PUT /v1/flip/objects/{sha256}`, each at most 64 MiB; once none is lacking it is kept."""

    objects: list[Sha256]
