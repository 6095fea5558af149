"""What a strategy needs of the machine is said before a run starts, and refused where there is not so much."""

import pytest

from flip_hub.federation.memory_rules import Machine, memory_said
from flip_hub.federation.plan import Plan, RoundRules
from flip_runtime.errors import Rejected

MACHINE = Machine(memory=8 * 10**9, free=4 * 10**9)


def test_a_strategy_that_collects_more_than_the_machine_has_is_refused_with_a_way_out() -> None:
    with pytest.raises(Rejected, match=r"updates of 1000 devices: it needs about 40\.1 GB") as refused:
        memory_said(Plan(strategy="krum"), 10**7, 1000, MACHINE)
    assert "has 8.0 GB" in str(refused.value)
    assert "fedavg" in refused.value.hint


def test_one_that_needs_much_of_what_is_free_says_so_and_of_little_nothing_is_said() -> None:
    said = memory_said(Plan(strategy="krum"), 10**7, 100, MACHINE)
    assert said.startswith("krum collects the updates of 100 devices: it needs about 4.1 GB of memory for a model of")
    assert said.endswith("10 MB; 4.0 GB are free")
    assert memory_said(Plan(strategy="krum"), 10**7, 10, MACHINE) == ""
    assert memory_said(Plan(strategy="fedavg"), 10**7, 100_000, MACHINE) == ""
    assert memory_said(Plan(), 10**9, 1000, MACHINE) == "", "what the app's own strategy needs is not known"
    assert memory_said(Plan(strategy="krum"), 0, 1000, MACHINE) == "", "nor of a model that was never made"


def test_only_the_devices_that_are_asked_count() -> None:
    plan = Plan(strategy="krum", options={"fraction_train": 0.1}, rounds=RoundRules(over_sample=0.5))
    assert "updates of 150 devices" in memory_said(plan, 10**7, 1000, MACHINE)


def test_this_machine_has_memory() -> None:
    machine = Machine.this()
    assert 0 < machine.free <= machine.memory
