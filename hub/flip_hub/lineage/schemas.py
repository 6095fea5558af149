"""The lineage of a version: run, devices that contributed, version, rollouts, devices that run it."""

from msgspec import Struct

from flip_hub.contributions.schemas import Contributor
from flip_hub.deployments.schemas import Deployment
from flip_hub.federation.schemas import Run
from flip_hub.models.schemas import ModelVersion
from flip_hub.rollouts.schemas import Rollout
from flip_wire.fleet import DeviceId


class Lineage(Struct, frozen=True, kw_only=True):
    version: ModelVersion
    run: Run | None
    """That made it; None when the hub does not know it."""
    before: int | None
    """The version that the same run had made before."""
    contributors: list[Contributor]
    """Who brought most first; a thousand at most."""
    deployments: list[Deployment]
    """Devices that serve it now, the latest first; a thousand at most."""
    deployed: int
    """How many they are."""
    rollouts: list[Rollout] = []
    """That brought it to the fleet, the latest first; ten at most."""
    rings: dict[DeviceId, str] = {}
    """Of these devices: the name of the ring that each is in, in the latest rollout."""
