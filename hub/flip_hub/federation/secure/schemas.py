"""What a plan says of secure aggregation: the hub learns the weighted mean of a round's updates, and no single one."""

from typing import Annotated

from msgspec import Meta, Struct

from flip_update.secagg.hub_round import COLLUDING, DROPOUT
from flip_update.secagg.parameters import FEWEST, MOST

Devices = Annotated[int, Meta(ge=FEWEST, le=MOST)]
Share = Annotated[float, Meta(ge=0, lt=1)]


class SecureAggregation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Devices are asked for no metrics, and their evaluation is left out: both would be single devices' own. A round
    has two exchanges, or four where its devices are not those of the round before, each with the plan's deadline."""

    clip: Annotated[float, Meta(ge=1e-18, le=1e18)] = 1.0
    """By how much a value of the model may change in a round on one device; what goes beyond is cut off, and how many
    devices lost some of it is told (`clipped-devices`)."""
    max_weight: Annotated[int, Meta(ge=1, le=2**31 - 1)] = 10_000
    """Of one device: the number of its samples. One that has more is refused."""
    most: Devices = 100
    """In a round, at most: the more, the coarser the sum."""
    least: Devices = FEWEST
    """The sum of fewer is not made: the round is void."""
    dropout: Share = DROPOUT
    """Share of a round's devices that may be lost after its first exchange."""
    colluding: Share = COLLUDING
    """Share of them that may tell the hub all they know."""
    bits: Annotated[int, Meta(ge=2, le=31)] | None = None
    """Of a weighted value, its sign included; None: as many as fit."""
