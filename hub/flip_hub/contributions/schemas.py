"""Late contributions as the API shows them, and as the registry keeps them."""

from msgspec import Struct

from flip_hub.federation.schemas import ReplyContent
from flip_wire.contributions import Fate
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


class LateCounts(Struct, frozen=True, kw_only=True):
    """What the list of a run's late contributions does not show."""

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
    sent_at: float = 0.0
    """When the hub was told of it; 0 for one of before this was kept."""
    received_at: float | None = None
    """When the ServerApp had the reply."""
    error: str = ""
    """What the reply says in place of content."""
    content: ReplyContent | None = None
    share: float | None = None
    """In the aggregate; None where it has none, or that is not known."""
    taken: int = 0
    """The round whose result it is in; 0 where that is not told: then the one that it was asked in."""
    told: bool = False
    """Whether the ServerApp has told its fate, and not its journal alone."""
    entry: int = 0
    """Its number in the run's chain of receipts; 0 before it is there."""
    hash: str = ""
    """Of that entry."""


class RoundTraffic(Struct, frozen=True, kw_only=True):
    """What came in for a round: updates, as they travelled."""

    round: int
    replies: int
    size: int
    """Bytes."""


class Contributor(Struct, frozen=True, kw_only=True):
    """A device whose results went into a version."""

    device_id: DeviceId
    rounds: int
    """Of the run up to this version, those in which a result of its was taken."""
    weight: float
    """Examples on which these results stand together; 0 where they do not say."""
    last_weight: float | None
    """Of that in the round that made the version; None when it had no part in it, or did not say."""
    size: int
    """Bytes."""


class Contribution(Struct, frozen=True, kw_only=True):
    """What one device was asked in a round, what it sent, and what has become of that."""

    message_id: str
    """Of the instruction."""
    flower_run_id: str
    """Of its run, or of an attempt of it (`Run.flower_run_id`)."""
    device_id: DeviceId
    """Empty where that is not known."""
    round: int
    """0 where that is not known."""
    phase: str
    sent_at: float
    """When the instruction was written; 0 where that is not known."""
    received_at: float | None
    """When the reply was here."""
    fate: Fate
    """What the device's receipt says: `accepted` means that the app has the reply."""
    reason: str
    """Why it is late, or what the device says in place of a result; in words for people."""
    counts: bool
    """Whether the app was given a result, not an error."""
    kept_late: bool
    """Whether it is kept as a late contribution."""
    sha256: str
    """Flower's name of the reply: SHA-256 over its head and the hashes of all that it consists of; empty where it is
    not known."""
    size: int
    """Bytes."""
    weight: float | None
    """On how many examples it stands, where it says so."""
    share: float | None
    """In the aggregate; None where it has none, or the strategy weighs otherwise."""
    taken: int
    """The round whose result it is in: a later one than its own where it was folded in; 0 where it is in none."""
    signed: bool
    """Whether its device has signed it."""
    entry: int
    """Its number in the run's chain of receipts; 0 before it is there."""
