"""The options of `flip-hub runs start` that let the hub learn sums alone."""

import argparse

import msgspec

from flip_hub.federation.secure.schemas import SecureAggregation
from flip_runtime.errors import Rejected
from flip_runtime.refused_value import wanted

_FLAGS = {
    "clip": ("--secure-clip", float, "by how much a value may change on a device in a round (1)"),
    "max_weight": ("--secure-max-weight", int, "samples of one device at most (10000)"),
    "most": ("--secure-most", int, "in a round at most (100); the more, the coarser the sum"),
    "least": ("--secure-least", int, "the sum of fewer devices is not made (3)"),
    "dropout": ("--secure-dropout", float, "share of a round's devices that may be lost (0.2)"),
    "colluding": ("--secure-colluding", float, "share that may tell the hub all they know (0.1)"),
    "bits": ("--secure-bits", int, "of a weighted value (as many as fit)"),
}
"""By field of the plan."""


def add_secure(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("secure aggregation")
    group.add_argument("--secure", action="store_true", help="the hub learns the sum of a round's updates alone")
    for field, (flag, kind, text) in _FLAGS.items():
        group.add_argument(flag, type=kind, dest=f"secure_{field}", metavar="NUMBER", help=text)


def secure_of(options: argparse.Namespace) -> SecureAggregation | None:
    """Raises `Rejected` that names the option."""
    given = {field: value for field in _FLAGS if (value := getattr(options, f"secure_{field}")) is not None}
    if not options.secure:
        if given:
            raise Rejected(f"{_FLAGS[next(iter(given))][0]} is for secure aggregation", hint="--secure")
        return None
    try:
        return msgspec.convert(given, SecureAggregation)
    except msgspec.ValidationError as error:
        field, words = wanted(str(error))
        raise Rejected(f"{_FLAGS[field][0]} is {given[field]}", hint=words) from error
