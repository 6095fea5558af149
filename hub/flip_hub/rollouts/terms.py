"""How a rollout goes: its rings, and the gates that it must pass at the end of each."""

from typing import Annotated

from msgspec import Meta, Struct

from flip_hub.devices.schemas import Label, Labels, Site
from flip_runtime.ranges import Share

MOST_RINGS = 10

Soak = Annotated[float, Meta(ge=0, le=30 * 86400)]
Part = Annotated[float, Meta(gt=0, le=1)]
Number = Annotated[int, Meta(ge=0, le=2**40)]


class Ring(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Devices that get the version together. Those of the rings before count in, and are not brought it twice."""

    name: Label
    share: Part = 1.0
    """Of the fleet, or of the devices with these tags at these sites."""
    tags: Labels = []
    """A device has at least one of them; empty: any device."""
    sites: Annotated[list[Site], Meta(max_length=32)] = []
    soak: Soak = 900.0
    """Seconds that the version is watched here once enough devices have it."""

    @property
    def everybody(self) -> bool:
        return self.share == 1 and not self.tags and not self.sites


class Gates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must be so, over the devices of all rings so far. Shares of devices are of those that are heard of."""

    serving: Annotated[int, Meta(ge=1, le=10_000_000)] = 1
    """Devices that serve it at least, or all where they are fewer."""
    settled: Share = 0.9
    """Share of the ring's devices that are done with it: they serve it, or have refused it or gone back."""
    refusals: Share = 0.1
    """Share of devices that may refuse it: signature, probe, trial."""
    rollbacks: Share = 0.05
    """Share of devices that may go back from it by themselves."""
    judged_by: Annotated[int, Meta(ge=1, le=2**40)] = 50
    """Calls, or feedbacks, below which errors, latency and accuracy are not judged."""
    errors: Share = 0.02
    """Share of calls that it may fail to compute, beyond that of the version before; 1: any."""
    slowdown: Annotated[float, Meta(ge=0, le=1000)] = 2.0
    """How many times as long as that of the version before its middle answer may take; 0: any."""
    accuracy: Share = 0.0
    """Least share of right answers among those whose truth became known, unless the version before does no better."""
    accuracy_loss: Share = 0.05
    """By how much that share may lie below that of the version before; 1: any."""
    calls: Number = 0
    """That it must have answered before a ring may pass."""
    feedbacks: Number = 0
    """That must have come to its answers before a ring may pass."""


EVERYBODY = Ring(name="everybody", soak=0.0)
