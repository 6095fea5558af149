"""What the hub tells a ServerApp's process of its run, when that asks (`GET /internal/v1/runs/{flower_run_id}/...`)."""

from msgspec import Struct

from flip_hub.federation.plan import Plan
from flip_hub.federation.privacy.schemas import Release
from flip_wire.fleet import DeviceId
from flip_wire.models import Sha256


class Brief(Struct, frozen=True, kw_only=True):
    """`.../brief`: the same for each ServerApp that takes the place of one that died."""

    run_id: str
    """The hub's, that names the run's folder."""
    plan: Plan
    seed: int
    """The plan's, or one that was drawn when the run was made."""
    weights: str = ""
    """SHA-256 of the weights that the plan wants to start from; `GET /internal/v1/artifacts/{sha256}` has them."""
    goes_on: bool = False
    """Whether another ServerApp was at work at it before."""
    releases: list[Release] = []
    """That the hub knows of, of this run and of those that it goes on from, where its plan asks for privacy."""


class Foldable(Struct, frozen=True, kw_only=True):
    """`.../late?since=ROUND`: a late contribution to training that the run may still fold in."""

    message_id: str
    """Of the instruction that it answers."""
    device_id: DeviceId
    round: int
    reply: Sha256
    """Of its `LateReply` as MessagePack; `GET /internal/v1/late/{sha256}` has it, and each object by its hash."""


class NodeFacts(Struct, frozen=True, kw_only=True):
    """`.../nodes`: of one node of Flower's."""

    node: str
    device_id: DeviceId
    agent: bool
    """Whether it understands terms (`flip_wire.terms`); Flower's own SuperNode does not."""
    forms: list[str] = []
    """In which it can send updates, beside plainly."""
    key: str = ""
    """PEM of its public key, with which it signs what it contributes; empty: it signs nothing."""
    barred: str = ""
    """Why the plan leaves it out, in words for people; empty when it takes part."""
