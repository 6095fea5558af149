"""Which plans can be aggregated securely, and the options of the command line that say so."""

import argparse
from typing import Any

import pytest

from flip_hub.commands.run_secure import add_secure, secure_of
from flip_hub.federation.plan import Folding, Plan, RoundRules, Update
from flip_hub.federation.privacy.on_devices import UNABLE as CANNOT_HIDE
from flip_hub.federation.privacy.schemas import DeviceFixed, HubFixed, Local
from flip_hub.federation.secure.rules import CANNOT_KEEP, UNABLE, check_secure, strangers
from flip_hub.federation.secure.schemas import SecureAggregation
from flip_runtime.errors import Rejected

SECURE = SecureAggregation()
BUDGET: dict[str, Any] = {"budget": 8.0, "delta": 1e-5}
LOCAL = Local(clipping_norm=1.0, message_epsilon=0.5, message_delta=1e-6, **BUDGET)


@pytest.mark.parametrize("name", ["", "fedavg", "fedavgm", "fedadagrad", "fedadam", "fedyogi", "fedprox"])
def test_strategies_that_live_on_a_mean_pass(name: str) -> None:
    check_secure(Plan(strategy=name, secure=SECURE))
    check_secure(Plan(strategy="fedmedian"))


@pytest.mark.parametrize(
    "name", ["fedmedian", "fedtrimmedavg", "krum", "multikrum", "bulyan", "qfedavg", "fedxgbbagging", "fedbuff"]
)
def test_a_strategy_that_needs_single_updates_is_refused(name: str) -> None:
    with pytest.raises(Rejected, match=rf"plan\.strategy: {name} needs single updates"):
        check_secure(Plan(strategy=name, secure=SECURE))


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (Plan(secure=SECURE, folding=Folding()), r"plan\.folding: a late contribution has masks"),
        (Plan(secure=SECURE, rounds=RoundRules(over_sample=0.1)), r"plan\.rounds\.over_sample: "),
        (Plan(secure=SECURE, update=Update(codec="int8")), r"plan\.update\.codec: int8 updates cannot be added up"),
        (
            Plan(secure=SECURE, privacy=HubFixed(noise_multiplier=1.0, clipping_norm=1.0, **BUDGET)),
            r"plan\.privacy: in mode hub-fixed the hub looks at single updates",
        ),
        (
            Plan(secure=SECURE, privacy=DeviceFixed(noise_multiplier=1.0, clipping_norm=1.0, **BUDGET)),
            r"plan\.privacy: in mode device-fixed",
        ),
        (Plan(secure=SecureAggregation(max_weight=10**6)), r"plan\.secure\.max_weight: with 25 bits"),
        (Plan(secure=SecureAggregation(most=1000, bits=24)), r"plan\.secure\.bits: 1000 values of 24 bits overflow"),
        (Plan(secure=SecureAggregation(most=10, least=11)), r"plan\.secure\.least: 11 is not between"),
        (Plan(secure=SecureAggregation(colluding=0.9)), r"plan\.secure\.colluding: secure aggregation of"),
        (Plan(secure=SecureAggregation(most=3, dropout=0.4)), r"plan\.secure\.dropout: secure aggregation of 3"),
    ],
)
def test_an_option_that_cannot_be_served_is_named(plan: Plan, why: str) -> None:
    with pytest.raises(Rejected, match=why):
        check_secure(plan)


def test_noise_on_each_device_goes_together_with_sums() -> None:
    check_secure(Plan(secure=SECURE, privacy=LOCAL))


def test_nodes_that_are_no_agents_take_no_part() -> None:
    assert strangers(Plan(secure=SECURE)) == UNABLE
    assert strangers(Plan(privacy=LOCAL)) == CANNOT_HIDE
    assert strangers(Plan(local=["head.*"])) == CANNOT_KEEP
    assert strangers(Plan()) == ""


def parsed(line: str) -> SecureAggregation | None:
    parser = argparse.ArgumentParser()
    add_secure(parser)
    return secure_of(parser.parse_args(line.split()))


def test_options_become_the_plans_secure_aggregation() -> None:
    assert parsed("") is None
    assert parsed("--secure") == SECURE
    assert parsed("--secure --secure-clip 0.5 --secure-most 40 --secure-dropout 0.3 --secure-bits 20") == (
        SecureAggregation(clip=0.5, most=40, dropout=0.3, bits=20)
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("--secure-clip 2", r"--secure-clip is for secure aggregation \(--secure\)"),
        ("--secure --secure-least 2", r"--secure-least is 2 \(it must be a whole number >= 3\)"),
        ("--secure --secure-dropout 1", r"--secure-dropout is 1\.0 \(it must be a number < 1\.0\)"),
    ],
)
def test_a_wrong_option_is_named(line: str, why: str) -> None:
    with pytest.raises(Rejected, match=why):
        parsed(line)
