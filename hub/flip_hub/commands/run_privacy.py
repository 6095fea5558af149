"""The options of `flip-hub runs start` that make a run private, and what privacy costs, in words."""

import argparse
import re
from collections.abc import Mapping

import msgspec

from flip_hub.federation.privacy.schemas import Privacy, PrivacySpent
from flip_runtime.errors import Rejected
from flip_runtime.refused_value import wanted

MODES = ("hub-fixed", "hub-adaptive", "device-fixed", "device-adaptive", "local")
_NUMBERS = {
    "budget": ("--epsilon-budget", "epsilon at most, of the whole run"),
    "delta": ("--delta", "with which that may fail; less than one in the number of devices"),
    "clipping_norm": ("--clip", "length to which an update is cut; where it adapts, of the first round"),
    "noise_multiplier": ("--noise", "deviation of the noise on the sum of a round's updates, in clipping norms"),
    "clipped_count_stddev": ("--count-noise", "adaptive: deviation of the noise on the count of clipped updates"),
    "clipped_share": ("--clipped-share", "adaptive: of the updates that should be clipped (0.5)"),
    "clipping_rate": ("--clipping-rate", "adaptive: how fast the norm follows (0.2)"),
    "message_epsilon": ("--message-epsilon", "local: epsilon of one message, by which the noise is chosen"),
    "message_delta": ("--message-delta", "local: delta of one message"),
    "sensitivity": ("--sensitivity", "local: what the noise is scaled by (twice --clip)"),
}
"""By field of the plan."""
_FLAGS = {"mode": "--privacy", "metrics": "--privacy-metrics"} | {field: flag for field, (flag, _) in _NUMBERS.items()}


def add_privacy(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("privacy")
    group.add_argument("--privacy", choices=MODES, dest="mode", help="who clips updates, and who adds noise")
    for field, (flag, text) in _NUMBERS.items():
        group.add_argument(flag, type=float, dest=field, metavar="NUMBER", help=text)
    group.add_argument(
        "--privacy-metrics", choices=["none", "shown"], dest="metrics", help="what devices measure; nothing hides it"
    )


def privacy_of(options: argparse.Namespace) -> Privacy | None:
    """Raises `Rejected` that names the option."""
    given = {field: value for field in _FLAGS if (value := getattr(options, field)) is not None}
    if "mode" not in given:
        if given:
            raise Rejected(f"{_FLAGS[next(iter(given))]} is for a private run", hint=f"--privacy {'|'.join(MODES)}")
        return None
    try:
        return msgspec.convert(given, Privacy)
    except msgspec.ValidationError as error:
        raise _refused(str(error), given) from error


def in_words(spent: PrivacySpent) -> str:
    """For example `epsilon 4.377 of 8 for delta 1e-05 (hub-fixed), 6.573 after all rounds`."""
    now = f"epsilon {spent.epsilon:.4g} of {spent.budget:g} for delta {spent.delta:g} ({spent.mode})"
    more = spent.planned is not None and spent.planned > spent.epsilon
    return f"{now}, {spent.planned:.4g} after all rounds" if more else now


def _refused(error: str, given: Mapping[str, object]) -> Rejected:
    """The plan's words for a field, with the option's name."""
    found = re.search(r"`(\w+)`(?: - at `\$`)?$|\$\.(\w+)`$", error)
    field = "" if found is None else found[1] or found[2]
    flag = _FLAGS.get(field, "--privacy")
    if error.startswith("Object missing"):
        return Rejected(f"--privacy {given['mode']} needs {flag}", hint=_NUMBERS[field][1] if field in _NUMBERS else "")
    if error.startswith("Object contains unknown"):
        return Rejected(f"{flag} is not of --privacy {given['mode']}")
    return Rejected(f"{flag} is {given.get(field)}", hint=wanted(error)[1])
