"""Which private plans are refused before they start, and by which field."""

from typing import Any

import msgspec
import pytest

from flip_hub.federation.plan import Folding, Plan, Update
from flip_hub.federation.privacy.rules import MEANS, priced
from flip_hub.federation.privacy.schemas import Privacy, PrivacySpent, Release
from flip_runtime.errors import Rejected

FIXED: dict[str, Any] = {"mode": "hub-fixed", "noise_multiplier": 1.0, "clipping_norm": 1.0, "budget": 8, "delta": 1e-5}
DEVICE = FIXED | {"mode": "device-fixed"}
ADAPTIVE = FIXED | {"mode": "hub-adaptive", "clipped_count_stddev": 2.0}
LOCAL: dict[str, Any] = {
    "mode": "local",
    "clipping_norm": 1.0,
    "message_epsilon": 0.5,
    "message_delta": 1e-6,
    "budget": 8,
    "delta": 1e-5,
}


def plan(privacy: dict[str, Any], **fields: Any) -> Plan:
    return Plan(privacy=msgspec.convert(privacy, Privacy), **fields)


def refused(plan: Plan, why: str, rounds: int = 2) -> None:
    with pytest.raises(Rejected, match=why):
        priced(plan, rounds)


def test_a_plan_without_privacy_has_no_price() -> None:
    assert priced(Plan(seed=1, strategy="krum"), 1_000_000) is None


@pytest.mark.parametrize("privacy", [FIXED, DEVICE, ADAPTIVE, ADAPTIVE | {"mode": "device-adaptive"}])
def test_two_rounds_with_as_much_noise_as_signal_cost_what_they_cost(privacy: dict[str, Any]) -> None:
    price = priced(plan(privacy), 2)
    assert price is not None
    assert price.planned == pytest.approx(6.573, abs=1e-3)
    assert price == PrivacySpent(
        mode=privacy["mode"], epsilon=0.0, delta=1e-5, budget=8.0, planned=price.planned, releases=[]
    )


@pytest.mark.parametrize("mode", [FIXED, DEVICE, ADAPTIVE, LOCAL])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"budget": 0}, "budget"),
        ({"budget": -1}, "budget"),
        ({"delta": 0}, "delta"),
        ({"delta": 1}, "delta"),
        ({"clipping_norm": 0}, "clipping_norm"),
        ({"metrics": "some"}, "metrics"),
        ({"epsilon": 3}, "epsilon"),
    ],
)
def test_a_value_out_of_range_names_its_field(mode: dict[str, Any], change: dict[str, Any], field: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=field):
        msgspec.convert({"privacy": mode | change}, Plan)


@pytest.mark.parametrize("mode", [FIXED, ADAPTIVE, LOCAL])
def test_every_field_without_a_default_is_needed_by_name(mode: dict[str, Any]) -> None:
    for name in mode:
        without = {key: value for key, value in mode.items() if key != name}
        with pytest.raises(msgspec.ValidationError, match=name):
            msgspec.convert({"privacy": without}, Plan)


def test_a_run_past_its_budget_is_told_what_would_fit() -> None:
    refused(plan(FIXED), r"plan\.privacy\.budget: 20 rounds cost epsilon 28\.37 for delta 1e-05, the budget is 8", 20)
    refused(plan(FIXED), r"\(2 rounds would fit, or a noise_multiplier of at least 2\.685\)", 20)
    assert priced(plan(FIXED | {"noise_multiplier": 2.685}), 20) is not None
    refused(plan(FIXED | {"noise_multiplier": 0.1}), r"no round fits; a noise_multiplier of at least 0\.8489", 2)


def test_locally_it_is_the_message_that_must_be_noisier() -> None:
    refused(plan(LOCAL), r"600 rounds cost .*rounds would fit, or a message_epsilon of at most 0\.\d+\)", 600)
    with pytest.raises(Rejected) as refusal:
        priced(plan(LOCAL), 600)
    fits = float(refusal.value.hint.rpartition(" ")[2])
    assert priced(plan(LOCAL | {"message_epsilon": fits}), 600) is not None


def test_where_nobody_knows_the_rounds_one_must_fit() -> None:
    price = priced(plan(FIXED), None)
    assert price is not None
    assert price.planned is None
    with pytest.raises(Rejected, match="1 round costs epsilon"):
        priced(plan(FIXED | {"noise_multiplier": 0.1}), None)


def test_what_the_run_goes_on_from_has_spent_counts() -> None:
    before = [Release(noise_multiplier=1.0, times=2)]
    with pytest.raises(Rejected, match=r"1 round costs epsilon 8\.3\d+ .*\(6\.573 is spent already\), the budget is 8"):
        priced(plan(FIXED), 1, before)
    price = priced(plan(FIXED | {"noise_multiplier": 3.0}), 1, before)
    assert price is not None
    assert price.epsilon == pytest.approx(6.573, abs=1e-3)
    assert price.releases == before
    with pytest.raises(Rejected, match="it is used up: start a run that does not go on from this one"):
        priced(plan(FIXED), 1, [Release(noise_multiplier=1.0, times=5)])


def test_a_seed_is_refused_for_noise_is_nobodys() -> None:
    for privacy in (FIXED, LOCAL):
        refused(plan(privacy, seed=7), r"plan\.seed: a private run is never the same twice")


def test_a_late_contribution_would_be_a_device_twice_in_a_round() -> None:
    refused(plan(FIXED, folding=Folding()), r"plan\.folding: in mode hub-fixed a device may be in a round once")
    assert priced(plan(LOCAL, folding=Folding()), 2) is not None


@pytest.mark.parametrize(
    "strategy", ["bulyan", "fedmedian", "fedtrimmedavg", "krum", "multikrum", "qfedavg", "fedxgbbagging"]
)
def test_a_strategy_that_needs_more_than_the_mean_is_refused(strategy: str) -> None:
    refused(plan(FIXED, strategy=strategy), rf"plan\.strategy: {strategy} needs more.*fedavg.*with mode local all")
    assert priced(plan(LOCAL, strategy=strategy), 2) is not None


@pytest.mark.parametrize("strategy", ["", *MEANS])
def test_one_that_lives_on_the_mean_is_not(strategy: str) -> None:
    assert priced(plan(FIXED, strategy=strategy), 2) is not None


def test_a_strategy_without_rounds_is_refused_in_every_mode() -> None:
    for privacy in (FIXED, LOCAL):
        refused(plan(privacy, strategy="fedbuff"), r"plan\.strategy: fedbuff has no rounds")


def test_what_a_device_has_clipped_is_sent_as_it_is() -> None:
    refused(plan(DEVICE, update=Update(codec="int8")), r"plan\.update\.codec: int8 changes an update after")
    for privacy in (FIXED, LOCAL):
        assert priced(plan(privacy, update=Update(codec="int8")), 2) is not None


def test_noise_on_the_count_must_leave_room_for_noise_on_the_mean() -> None:
    refused(
        plan(ADAPTIVE | {"clipped_count_stddev": 0.5}),
        r"plan\.privacy\.clipped_count_stddev is 0\.5: more than 0\.5 is needed",
    )
