"""What a run's rounds will cost, and the refusal of those that its budget does not pay for: before the run starts, and
before each round."""

import math
from collections.abc import Sequence

from flip_hub.federation.privacy.account import epsilon_of, multiplier_within, plus, rounds_within
from flip_hub.federation.privacy.schemas import Local, Privacy, PrivacySpent, Release
from flip_runtime.errors import Rejected

FIELD = "plan.privacy"


def spent(privacy: Privacy, releases: Sequence[Release], rounds: int | None) -> PrivacySpent:
    """`rounds` are those yet to come; None when nobody knows."""
    planned = None if rounds is None else epsilon_of(_with(privacy, releases, rounds), privacy.delta)
    return PrivacySpent(
        mode=str(privacy.__struct_config__.tag),
        epsilon=epsilon_of(releases, privacy.delta),
        delta=privacy.delta,
        budget=privacy.budget,
        planned=planned,
        releases=list(releases),
    )


def need_budget(privacy: Privacy, releases: Sequence[Release], rounds: int) -> None:
    """For so many rounds after those releases. Raises `Rejected`, which names what would fit."""
    cost = epsilon_of(_with(privacy, releases, rounds), privacy.delta)
    if cost <= privacy.budget:
        return
    before = epsilon_of(releases, privacy.delta)
    earlier = f" ({before:.4g} is spent already)" if releases else ""
    raise Rejected(
        f"{FIELD}.budget: {_rounds(rounds)} {'costs' if rounds == 1 else 'cost'} epsilon {cost:.4g} for "
        f"delta {privacy.delta:g}{earlier}, the budget is {privacy.budget:g}",
        hint=_what_fits(privacy, releases, rounds),
    )


def _with(privacy: Privacy, releases: Sequence[Release], rounds: int) -> list[Release]:
    return plus(releases, privacy.released_with, rounds)


def _what_fits(privacy: Privacy, releases: Sequence[Release], rounds: int) -> str:
    fit = rounds_within(privacy.budget, privacy.delta, privacy.released_with, releases)
    least = multiplier_within(privacy.budget, privacy.delta, rounds, releases)
    if least is None:
        return "it is used up: start a run that does not go on from this one"
    some = f"{_rounds(fit)} would fit, or" if fit else "no round fits;"
    if isinstance(privacy, Local):
        factor = _cut(privacy.message_epsilon * privacy.released_with / least)
        return f"{some} a message_epsilon of at most {factor:g}"
    return f"{some} a noise_multiplier of at least {-_cut(-least):g}"


def _rounds(number: int) -> str:
    return "1 round" if number == 1 else f"{number} rounds"


def _cut(number: float) -> float:
    """To four digits, never up."""
    step = 10.0 ** (math.floor(math.log10(abs(number))) - 3)
    return math.floor(number / step) * step
