"""What devices and hub agree on before a round: how values become words of 32 bits whose sum cannot overflow."""

import math
from typing import Annotated, Final, Self

from msgspec import Meta, Struct

from flip_runtime.errors import ConfigError

FEWEST: Final = 3
"""Devices: of two, each learns the other's update from the sum."""
MOST: Final = 2**16
LONGEST: Final = 10**9
"""Values: a message of MessagePack has at most 4 GiB."""
_LARGEST: Final = 2**31 - 1
"""Magnitude of a sum: words are read in two's complement."""
_FINEST: Final = 127
"""Levels to each side of zero that a device of weight 1 must be left with: 8 bits."""
_CLIPS: Final = (1e-18, 1e18)


class Parameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device of weight w sends `rint(w * value * scale)` for each value, in the range of `levels` to both sides."""

    devices: Annotated[int, Meta(ge=FEWEST, le=MOST)]
    """That take part in a round, at most."""
    length: Annotated[int, Meta(ge=1, le=LONGEST)]
    """Values of an update."""
    clip: float
    """Values beyond are cut off; those who lost any are counted (`Total.clipped`)."""
    max_weight: Annotated[int, Meta(ge=1, le=_LARGEST)]
    """Of one device: its number of samples, or 1 where all count alike."""
    bits: Annotated[int, Meta(ge=2, le=31)]
    """Of a weighted value, its sign included."""
    least: Annotated[int, Meta(ge=FEWEST, le=MOST)] = FEWEST
    """The sum of fewer devices is not made."""

    @classmethod
    def checked(
        cls,
        *,
        devices: int,
        length: int,
        clip: float,
        max_weight: int,
        bits: int | None = None,
        least: int = FEWEST,
    ) -> Self:
        """As many `bits` as fit when none are given. Raises `ConfigError` that names the parameter and the way out."""
        fitting = most_bits(devices) if devices > 0 else 2
        made = cls(
            devices=devices,
            length=length,
            clip=clip,
            max_weight=max_weight,
            bits=fitting if bits is None else bits,
            least=least,
        )
        made.check()
        return made

    def check(self) -> None:
        """Raises `ConfigError` when a sum could overflow, or would tell nothing."""
        _within("devices", self.devices, FEWEST, MOST)
        _within("length", self.length, 1, LONGEST)
        _within("clip", self.clip, *_CLIPS)
        _within("max_weight", self.max_weight, 1, _LARGEST)
        _within("bits", self.bits, 2, 31)
        _within("least", self.least, FEWEST, self.devices)
        if self.devices * self.max_weight > _LARGEST:
            raise ConfigError(
                f"max_weight: {self.devices} devices of weight {self.max_weight} overflow the sum of weights",
                hint=f"at most {_LARGEST // self.devices} for so many devices; count samples in tens or hundreds",
            )
        if self.devices * self.levels > _LARGEST:
            raise ConfigError(
                f"bits: {self.devices} values of {self.bits} bits overflow a sum of 32 bits",
                hint=f"at most {most_bits(self.devices)} for so many devices",
            )
        if self.levels < _FINEST * self.max_weight:
            raise ConfigError(
                f"max_weight: with {self.bits} bits and a weight of up to {self.max_weight}, fewer than 8 bits are left"
                " to a device of weight 1",
                hint=f"at most {self.levels // _FINEST}; more bits, fewer devices, or samples counted in tens",
            )

    @property
    def levels(self) -> int:
        """Of a weighted value, to each side of zero."""
        return 2 ** (self.bits - 1) - 1

    @property
    def scale(self) -> float:
        """Levels for a value of 1 with a weight of 1."""
        return self.levels / (self.clip * self.max_weight)

    @property
    def words(self) -> int:
        """Of a masked vector: the values, the weight, and whether any value was clipped."""
        return self.length + 2

    def error_bound(self, devices: int, weight: int) -> float:
        """How far a value of the mean may be from the exact weighted mean of values within `clip`.

        Half a level for each of `devices`, over `weight`, the sum of theirs; and the rounding of the mean to float32.
        """
        half = 0.5 + 2.0**-20  # the product is rounded too, in float64
        return devices * half / (self.scale * weight) + self.clip * 2.0**-24


def most_bits(devices: int) -> int:
    """That a value may have so that the sum over `devices` fits 32 bits."""
    return min(31, (_LARGEST // devices + 1).bit_length())


def _within(name: str, value: float, least: float, most: float) -> None:
    if not (math.isfinite(value) and least <= value <= most):
        raise ConfigError(f"{name}: {value} is not between {least} and {most}")
