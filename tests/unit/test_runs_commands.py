"""What is typed after `flip-hub runs start` becomes a plan, or is refused by the option's name."""

import argparse

import pytest

from flip_hub.commands.run_plan import add_plan, plan_of
from flip_hub.federation.plan import Plan, Start
from flip_runtime.errors import Rejected


def parsed(*words: str) -> Plan:
    parser = argparse.ArgumentParser()
    add_plan(parser)
    return plan_of(parser.parse_args(words))


def test_a_start_is_named_with_its_number_or_is_the_newest() -> None:
    assert parsed("--from-model", "digits").start == Start(model="digits")
    assert parsed("--from-model", "digits:3").start == Start(model="digits", version=3)
    assert parsed("--from-run", "run-1:5").start == Start(run_id="run-1", round=5)


@pytest.mark.parametrize("number", ["0", "-1", "x", "", "00", "\u00b2", "9" * 30])
def test_a_start_that_names_no_number_is_refused(number: str) -> None:
    for option, what in (("--from-model", "version"), ("--from-run", "round")):
        with pytest.raises(Rejected, match=rf"{option} it:.* names no {what} \(they count from 1"):
            parsed(option, f"it:{number}")
