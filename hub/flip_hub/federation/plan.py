"""A run's plan: what a person asks of the engine around the app's ServerApp. Every field has a default that changes
nothing, so an app that is started without a plan runs as it would with Flower alone."""

from typing import Annotated

from msgspec import Meta, Struct, field

from flip_hub.federation.privacy.schemas import Privacy
from flip_hub.federation.secure.schemas import SecureAggregation
from flip_wire.terms import UpdateForm

Value = bool | int | float | str
"""Of a configuration, as Flower's run config allows."""
Share = Annotated[float, Meta(ge=0, le=1)]
Names = Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=100)]


class DeviceFilter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which devices take part. Lists that are empty, and zeros, let every device pass."""

    tags: Names = []
    """A device has at least one of them."""
    sites: Names = []
    on_mains: bool = False
    """Only devices that say that they are not on battery."""
    unmetered: bool = False
    """Only devices that say that their link costs nothing."""
    least_samples: Annotated[int, Meta(ge=0, le=2**40)] = 0
    """On how many examples a device's last update of this app stood; one that was never asked takes part."""


class RoundRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a round ends, and when it counts."""

    deadline: Annotated[float, Meta(ge=0, le=30 * 86400)] = 0.0
    """Seconds after which a round goes on without those that have not answered; 0: the app's own time limit."""
    quorum: Share = 0.0
    """Of the devices asked: with fewer results a round changes nothing, and says so."""
    over_sample: Annotated[float, Meta(ge=0, le=4)] = 0.0
    """Share of devices asked beyond those that the strategy chose; the round ends when as many as it chose answered."""
    wait: Annotated[float, Meta(gt=0, le=30 * 86400)] = 3600.0
    """Seconds that the run waits for the devices that its strategy needs, before it ends and says so."""


class Folding(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Late contributions of earlier rounds join the round in which they come, with less weight."""

    exponent: Annotated[float, Meta(ge=0, le=10)] = 0.5
    """a of (1+s)^-a, the weight of a contribution that is s rounds late."""
    rounds: Annotated[int, Meta(ge=1, le=20)] = 3
    """s at most; older ones are kept by the hub as before, and not used."""


class Update(UpdateForm, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=False):
    """What devices send their updates in; one that cannot sends them as the app gives them."""


class Start(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the first round begins with, in place of the app's own arrays: a registered model or an earlier run."""

    model: str = ""
    version: Annotated[int, Meta(ge=0)] = 0
    """0: its newest."""
    run_id: str = ""
    round: Annotated[int, Meta(ge=0)] = 0
    """Of that run; 0: its last checkpoint."""


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    strategy: str = ""
    """A name from `GET /api/v1/strategies`, which takes the place of the app's own; empty: the app's own."""
    options: dict[str, Value] = {}
    """Of that strategy."""
    filter: DeviceFilter = field(default_factory=DeviceFilter)
    rounds: RoundRules = RoundRules()
    folding: Folding | None = None
    start: Start | None = None
    update: Update = Update()
    local: Names = []
    """Patterns (`fnmatch`) of the model's arrays that stay on each device: trained there, kept there, never sent."""
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    """Of everything the engine draws, such as which devices a round asks; None: never the same twice."""
    dataset: str = ""
    """One of the hub's, that the app's evaluation on the hub reads."""
    privacy: Privacy | None = None
    """What hides a single device's part in the run, and how much of it may become known; None: nothing does."""
    secure: SecureAggregation | None = None
    """The hub learns the sum of a round's updates, and no single one; None: it sees each."""
