"""The strategies that a run can be started with by name, as the API shows them."""

from enum import StrEnum

from msgspec import Struct

from flip_hub.federation.plan import Value


class OptionKind(StrEnum):
    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    """Whole numbers are taken, too."""
    STR = "str"


class StrategyOption(Struct, frozen=True, kw_only=True):
    name: str
    kind: OptionKind
    text: str = ""
    """What it means, in words for people."""
    required: bool = False
    default: Value | None = None
    """None for those that are required."""
    least: float | None = None
    most: float | None = None
    above: float | None = None
    """It must be more than that."""
    below: float | None = None
    """It must be less than that."""
    choices: list[float] = []
    """When there are any, it must be one of these."""


class Need(Struct, frozen=True, kw_only=True):
    """Memory of the ServerApp, in updates."""

    streams: bool
    """It adds updates to a sum as they come; otherwise it collects all of a round."""
    each: float
    """For each device of a round."""
    fixed: float
    """Beside that."""

    def in_bytes(self, update: int, devices: int) -> int:
        """At most, for updates of that many bytes."""
        return round((self.fixed + self.each * devices) * update)


class StrategySchema(Struct, frozen=True, kw_only=True):
    name: str
    """As `plan.strategy` takes it."""
    title: str
    """Name of its class."""
    summary: str
    source: str
    """Where it is described; a URL, or empty."""
    rounds: bool
    """False when devices answer at their own pace, and a round of the run is a step of the model."""
    same_shapes: bool
    """Whether what devices send has the shapes of what they are sent; trees grow."""
    need: Need
    options: list[StrategyOption]
    """In the order of its constructor."""
