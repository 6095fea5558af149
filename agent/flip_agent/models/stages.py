"""How a model version comes into service: one table says where it goes after each step, whatever the step's end."""

from enum import Enum, auto


class Stage(Enum):
    """How far a version has come."""

    WANTED = auto()
    SIGNED = auto()
    """A key that this device trusts has signed it: its files may be downloaded."""
    FETCHED = auto()
    PREPARED = auto()
    """`serve` has loaded it, and its probe answers as it must."""
    TRIED = auto()
    FLIPPED = auto()
    SERVING = auto()
    REFUSED = auto()
    """Durably, by its manifest: until the hub wants another version, or a person says `flip-agent models retry`."""
    UNTRUSTED = auto()
    """For now: looked at again when the hub says something else, or the device is enrolled again."""


class Outcome(Enum):
    """How the step out of a stage ended."""

    DONE = auto()
    UNAVAILABLE = auto()
    CORRUPT = auto()
    REJECTED = auto()
    UNTRUSTED = auto()


STEPS = {
    Stage.WANTED: "verify",
    Stage.SIGNED: "fetch",
    Stage.FETCHED: "prepare",
    Stage.PREPARED: "try",
    Stage.TRIED: "activate",
    Stage.FLIPPED: "activate",
}
"""What the step out of a stage is called in the spans; a stage without a step is an end."""

# An inference server that goes away takes what it had prepared with it; what was fetched stays.
_TABLE = {
    (Stage.WANTED, Outcome.DONE): Stage.SIGNED,
    (Stage.WANTED, Outcome.UNAVAILABLE): Stage.WANTED,
    (Stage.WANTED, Outcome.CORRUPT): Stage.WANTED,
    (Stage.WANTED, Outcome.REJECTED): Stage.REFUSED,
    (Stage.WANTED, Outcome.UNTRUSTED): Stage.UNTRUSTED,
    (Stage.SIGNED, Outcome.DONE): Stage.FETCHED,
    (Stage.SIGNED, Outcome.UNAVAILABLE): Stage.SIGNED,
    (Stage.SIGNED, Outcome.CORRUPT): Stage.SIGNED,
    (Stage.SIGNED, Outcome.REJECTED): Stage.REFUSED,
    (Stage.FETCHED, Outcome.DONE): Stage.PREPARED,
    (Stage.FETCHED, Outcome.UNAVAILABLE): Stage.FETCHED,
    (Stage.FETCHED, Outcome.CORRUPT): Stage.SIGNED,
    (Stage.FETCHED, Outcome.REJECTED): Stage.REFUSED,
    (Stage.PREPARED, Outcome.DONE): Stage.TRIED,
    (Stage.PREPARED, Outcome.UNAVAILABLE): Stage.FETCHED,
    (Stage.PREPARED, Outcome.CORRUPT): Stage.SIGNED,
    (Stage.PREPARED, Outcome.REJECTED): Stage.REFUSED,
    (Stage.TRIED, Outcome.DONE): Stage.FLIPPED,
    (Stage.TRIED, Outcome.UNAVAILABLE): Stage.FETCHED,
    (Stage.TRIED, Outcome.CORRUPT): Stage.SIGNED,
    (Stage.TRIED, Outcome.REJECTED): Stage.REFUSED,
    (Stage.FLIPPED, Outcome.DONE): Stage.SERVING,
    (Stage.FLIPPED, Outcome.UNAVAILABLE): Stage.FETCHED,
    (Stage.FLIPPED, Outcome.CORRUPT): Stage.SIGNED,
    (Stage.FLIPPED, Outcome.REJECTED): Stage.REFUSED,
}


def following(stage: Stage, outcome: Outcome) -> Stage:
    return _TABLE[stage, outcome]
