"""What happens to the devices of a lab: the file that `flip-hub lab --faults` reads."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from flip_runtime.errors import ConfigError
from flip_runtime.ranges import Share
from flip_runtime.refused_value import wanted

Seconds = Annotated[float, Meta(ge=0, le=366 * 86400)]
Interval = Annotated[float, Meta(ge=1e-3, le=366 * 86400)]
"""Seconds."""
Rate = Annotated[float, Meta(ge=1, le=1e12)]
"""Bytes a second."""
LieKind = Literal[
    "nan", "infinite", "shape", "dtype", "keys", "no-samples", "many-samples", "metrics", "scaled", "flipped"
]

_HINT = "docs/LAB.md names what it may hold"


class Link(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    latency: Seconds = 0.1
    """Of each exchange."""
    down: Rate = 1_000_000
    up: Rate = 250_000
    spread: Annotated[float, Meta(ge=0, le=5)] = 0.0
    """Devices' rates are lognormal around these, with this sigma."""


class Training(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seconds: Interval = 10.0
    """That the median device takes for one instruction."""
    spread: Annotated[float, Meta(ge=0, le=5)] = 0.0
    """Of devices, lognormal, with this sigma."""
    tail: Annotated[float, Meta(ge=0, le=100)] = 0.0
    """Each time is multiplied by a draw of Pareto with this shape: the smaller, the heavier its tail; 0: by none."""
    evaluation: Share = 0.2
    """Of these seconds that an evaluation takes."""


class Absences(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That come and go by chance: both times are exponential."""

    share: Share = 1.0
    """Of devices that have any."""
    every: Interval = 600.0
    """Seconds from the end of one to the next, in the mean."""
    lasts: Interval = 60.0
    """Seconds, in the mean."""


class Clocks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    share: Share = 1.0
    """Of devices whose clock is wrong."""
    ahead: Annotated[float, Meta(ge=-20 * 366 * 86400, le=20 * 366 * 86400)] = 3600.0
    """Seconds; negative: behind."""


class Lies(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What these devices say in place of what they have trained."""

    kind: LieKind
    share: Share = 0.05
    """Of devices that tell this one. A device tells one at most: the first of the file that it draws."""
    factor: Annotated[float, Meta(ge=-1e9, le=1e9)] = 10.0
    """`scaled`: of the change that it has made."""
    from_round: Annotated[int, Meta(ge=1)] = 1
    """It is honest before."""


class Trace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one device, exactly; beside what it draws."""

    device: Annotated[int, Meta(ge=1)]
    """By its number in the lab."""
    outages: list[tuple[Seconds, Seconds]] = []
    """From and until, in seconds since the run began."""
    power_cuts: list[tuple[Seconds, Seconds]] = []
    ahead: float | None = None
    """Seconds of its clock, in place of a draw."""
    lies: Lies | None = None
    """In place of a draw; its share does not matter."""
    pace: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    """How many times as long as the median device it takes, in place of a draw."""


class Faults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    link: Link = Link()
    training: Training = Training()
    outages: list[Absences] = []
    """Of the network."""
    power_cuts: list[Absences] = []
    clocks: list[Clocks] = []
    lies: list[Lies] = []
    traces: list[Trace] = []


def load_faults(path: Path, devices: int) -> Faults:
    """`devices`: how many the lab has. Raises `ConfigError` that names the file, and the value that cannot be."""
    try:
        faults = msgspec.convert(tomllib.loads(path.read_text()), Faults)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.ValidationError as error:
        field, words = wanted(str(error))
        raise ConfigError(f"{path}: {f'{field}: ' if field else ''}{words}", hint=_HINT) from error
    except ValueError as error:
        raise ConfigError(f"{path} is no TOML: {error}", hint=_HINT) from error
    seen: set[int] = set()
    for trace in faults.traces:
        if trace.device > devices:
            hint = f"the lab has devices 1 to {devices}: correct it, or give --devices"
            raise ConfigError(f"{path}: [[traces]] names device {trace.device}", hint=hint)
        if trace.device in seen:
            raise ConfigError(f"{path}: device {trace.device} has two [[traces]]", hint="write one for each device")
        seen.add(trace.device)
        for begin, end in (*trace.outages, *trace.power_cuts):
            if end <= begin:
                raise ConfigError(
                    f"{path}: device {trace.device} is away from {begin:g} until {end:g}, before it began"
                )
    return faults
