"""A plan that the devices which may take part cannot carry out is refused before it starts."""

import pytest

from flip_hub.federation.fleet_rules import UNMEASURED, check_fleet, unmeasured
from flip_hub.federation.plan import Plan, Value
from flip_hub.federation.privacy.schemas import HubFixed
from flip_hub.federation.schemas import RunRequest
from flip_hub.federation.secure.schemas import SecureAggregation
from flip_runtime.errors import Rejected
from flip_wire.models import Sha256


def private(delta: float) -> Plan:
    return Plan(privacy=HubFixed(noise_multiplier=1.0, clipping_norm=1.0, budget=8.0, delta=delta))


def robust(strategy: str, wrong: int, **more: Value) -> Plan:
    return Plan(strategy=strategy, options={"num_malicious_nodes": wrong, **more})


@pytest.mark.parametrize(
    ("plan", "devices", "why"),
    [
        (Plan(secure=SecureAggregation(least=50)), 3, r"plan\.secure\.least: 50 devices .* 3 devices may take part"),
        (private(0.5), 3, r"plan\.privacy\.delta: 0\.5 is not less than 1/3, and 3 devices may take part"),
        (robust("krum", 5), 3, r"plan\.options\.num_malicious_nodes: against 5 of them krum needs 13 devices"),
        (robust("bulyan", 1), 6, r"bulyan needs 7 devices in a round, and 6 devices may"),
        (robust("multikrum", 1, fraction_train=0.5), 8, "multikrum needs 5 devices in a round"),
    ],
)
def test_more_than_the_devices_can_do_is_refused(plan: Plan, devices: int, why: str) -> None:
    with pytest.raises(Rejected, match=why):
        check_fleet(plan, devices)


def test_what_the_devices_can_do_passes_and_so_does_a_fleet_that_is_still_to_come() -> None:
    for plan, devices in (
        (Plan(secure=SecureAggregation(least=50)), 50),
        (Plan(secure=SecureAggregation(least=50)), 0),
        (private(0.3), 3),
        (robust("krum", 5), 13),
        (robust("krum", 0), 1),
        (robust("bulyan", 1), 7),
        (Plan(), 1),
    ):
        check_fleet(plan, devices)


def test_a_run_that_measures_nothing_says_so_at_its_start() -> None:
    app = Sha256("0" * 64)
    for plan in (private(1e-5), Plan(secure=SecureAggregation())):
        assert unmeasured(RunRequest(fab_hash=app, plan=plan)) == UNMEASURED
        assert unmeasured(RunRequest(fab_hash=app, plan=plan, promote="none")) == ""
    assert unmeasured(RunRequest(fab_hash=app)) == ""
