"""What a run without rounds is told to do, and what it tells of each step."""

from collections.abc import Callable

from flwr.app import ArrayRecord, ConfigRecord, MetricRecord
from msgspec import Struct

Evaluate = Callable[[int, ArrayRecord], MetricRecord | None]
"""Of the model after so many steps."""


class Work(Struct, frozen=True, kw_only=True):
    """What `Strategy.start` is given."""

    steps: int
    """In all, those before a crash included."""
    timeout: float
    """Seconds that a step may take: then it is made of what has come, and when nothing has, the run ends."""
    train_config: ConfigRecord
    evaluate_config: ConfigRecord
    evaluate: Evaluate | None = None
    """On the hub."""


class Taken(Struct, frozen=True, kw_only=True):
    """An update in a step."""

    message_id: str
    """Of the instruction that it answers."""
    node: int
    staleness: int
    weight: float
    """Its factor: its share of the samples, times the discount."""


class Refused(Struct, frozen=True, kw_only=True):
    """An answer that no step holds, nor will."""

    message_id: str
    node: int
    reason: str
    """In words for people."""


class Step(Struct, frozen=True, kw_only=True):
    number: int
    arrays: ArrayRecord
    metrics: MetricRecord | None
    """Of the training on devices."""
    taken: list[Taken]
    refused: list[Refused]
    """Since the step before."""
    given_up: list[str]
    """Instructions whose answers nobody waits for any more, since the step before."""


class Evaluated(Struct, frozen=True, kw_only=True):
    step: int
    of_devices: MetricRecord | None
    of_hub: MetricRecord | None
    refused: list[Refused]
