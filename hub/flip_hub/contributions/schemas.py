"""Late contributions as the API shows them, and as the registry keeps them."""

from msgspec import Struct

from flip_wire.fleet import DeviceId
from flip_wire.models import Sha256


class LateContribution(Struct, frozen=True, kw_only=True):
    """A reply that its round or its run no longer took."""

    message_id: str
    """Of the instruction that it answers."""
    device_id: DeviceId
    round: int
    """0 where that is not known."""
    phase: str
    reason: str
    """Why it was too late, in words for people."""
    seconds: float
    """That the ClientApp took."""
    size: int
    """Bytes."""
    kept_at: float


class LateContributions(Struct, frozen=True, kw_only=True):
    """`GET /api/v1/runs/{id}/late`."""

    kept: list[LateContribution]
    """Newest first."""
    uploading: int
    """How many are on their way."""
    dropped: int
    """How many of this run had to make room for newer ones."""


class LateRecord(Struct, frozen=True, kw_only=True):
    """One in the registry, from the moment a device announces it."""

    contribution: LateContribution
    run_id: str
    """The hub's; empty when the hub knows no such run."""
    whole: bool
    """All its objects are here; only then it counts as kept."""
    reply: Sha256
    """Of the artifact that holds the `LateReply` as MessagePack."""
    objects: list[Sha256]
    declared: int
    """Bytes that the device has announced."""
    progress_at: float


class Instructed(Struct, frozen=True, kw_only=True):
    """What is known of an instruction whose reply is awaited, or was."""

    message_id: str
    flower_run_id: str
    round: int
    phase: str
    device_id: DeviceId = DeviceId("")
    """To which it was written; empty where that is not known."""
    fate: str
    """Of `flip_wire.contributions.Fate`."""
    reason: str
