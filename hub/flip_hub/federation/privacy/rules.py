"""Which plans can be private, and which are refused before they start: pure."""

from collections.abc import Sequence

from flip_hub.federation.plan import Plan
from flip_hub.federation.privacy.account import plus
from flip_hub.federation.privacy.price import FIELD, need_budget, spent
from flip_hub.federation.privacy.schemas import (
    DeviceAdaptive,
    DeviceFixed,
    HubAdaptive,
    Local,
    Privacy,
    PrivacySpent,
    Release,
)
from flip_hub.federation.schemas import Run, RunStatus
from flip_runtime.errors import Rejected

MEANS = ("fedadagrad", "fedadam", "fedavg", "fedavgm", "fedprox", "fedyogi")
"""Strategies that need no more of a round than the mean of its updates."""
WITHOUT_ROUNDS = ("fedbuff",)
"""Strategies that ask a device again while they wait for others: how often, nobody can say beforehand."""


def priced(plan: Plan, rounds: int | None, before: Sequence[Release] = ()) -> PrivacySpent | None:
    """What the run has spent before its first round, and will have after its last; None for one without privacy.

    `before`: releases of the run that it goes on from. Raises `Rejected`, which names the field.
    """
    if plan.privacy is None:
        return None
    _check(plan, plan.privacy)
    need_budget(plan.privacy, before, 1 if rounds is None else rounds)
    return spent(plan.privacy, before, rounds)


def carried_over(earlier: Run) -> list[Release]:
    """What became known of devices in a run that a private one goes on from, or begins with a version of. Raises
    `Rejected` for one that hid nothing.

    A local message is spent when it is asked for: of a run that has not finished its round, that is told by nobody.
    """
    privacy, known = earlier.plan.privacy, earlier.privacy
    if privacy is None or known is None:
        raise Rejected(
            f"plan.start: {earlier.id} was not private, and what it learned of its devices stays in its model",
            hint="start from a private run, from a model whose data are nobody's, or from the app's own",
        )
    if isinstance(privacy, Local) and earlier.status is not RunStatus.FINISHED:
        return plus(known.releases, privacy.released_with)
    return known.releases


def _check(plan: Plan, privacy: Privacy) -> None:
    if plan.seed is not None:
        raise Rejected(
            "plan.seed: a private run is never the same twice, for its noise must not be known beforehand",
            hint="leave out the seed, or the privacy",
        )
    if isinstance(privacy, HubAdaptive | DeviceAdaptive):
        _need_noise_on_the_count(privacy)
    if plan.strategy in WITHOUT_ROUNDS:
        raise Rejected(
            f"plan.strategy: {plan.strategy} has no rounds, and how often it asks a device nobody can say",
            hint="use a strategy with rounds, or leave out the privacy",
        )
    if isinstance(privacy, Local):
        return
    if plan.folding is not None:
        raise Rejected(
            f"plan.folding: in mode {_mode(privacy)} a device may be in a round once, and a late contribution would "
            "be a second time",
            hint="leave out the folding, or use mode local",
        )
    if plan.strategy and plan.strategy not in MEANS:
        raise Rejected(
            f"plan.strategy: {plan.strategy[:80]} needs more of a round than the mean of its updates, and noise hides "
            "a device only in a mean",
            hint=f"with mode {_mode(privacy)} these work: {', '.join(MEANS)}; with mode local all with rounds",
        )
    if isinstance(privacy, DeviceFixed | DeviceAdaptive) and plan.update.codec != "float":
        raise Rejected(
            f"plan.update.codec: {plan.update.codec} changes an update after the device has clipped it",
            hint="with mode hub-fixed, hub-adaptive or local every codec works",
        )


def _need_noise_on_the_count(privacy: HubAdaptive | DeviceAdaptive) -> None:
    least = privacy.noise_multiplier / 2
    if privacy.clipped_count_stddev <= least:
        raise Rejected(
            f"{FIELD}.clipped_count_stddev is {privacy.clipped_count_stddev:g}: more than {least:g} is needed, half of "
            "the noise_multiplier",
            hint="a twentieth of the devices of a round is usual",
        )


def _mode(privacy: Privacy) -> str:
    return str(privacy.__struct_config__.tag)
