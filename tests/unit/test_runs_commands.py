"""What is typed after `flip-hub runs start` becomes a plan, or is refused by the option's name."""

import argparse

import pytest

from flip_hub.commands.run_plan import add_plan, plan_of
from flip_hub.commands.words import in_options
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


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("--quorum 2", "--quorum: plan.rounds.quorum: it is not possible (it must be a number <= 1.0)"),
        ("--seed -1", "--seed: plan.seed: it is not possible (it must be a whole number >= 0)"),
        ("--fold-late -1", "--fold-late: plan.folding.exponent: it is not possible (it must be a number >= 0.0)"),
        ("--fold-late 1 --fold-rounds 0", "--fold-rounds: plan.folding.rounds: it is not possible (it must be a whole"),
        ("--fold-rounds 2", "--fold-rounds is of late results, which are not folded (--fold-late 0.5"),
    ],
)
def test_a_number_that_is_not_possible_is_refused_by_its_option(line: str, why: str) -> None:
    with pytest.raises(Rejected) as refused:
        parsed(*line.split())
    assert in_options(refused.value).startswith(why)


@pytest.mark.parametrize("line", ["--deadline inf", "--wait nan", "--quorum much"])
def test_what_is_no_number_is_refused_by_its_option(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(*line.split())
    assert f"argument {line.split()[0]}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Rejected("no run 'x'", hint="GET /api/v1/runs lists them"), "no run 'x' (flip-hub runs list)"),
        (Rejected("it", hint="a new run: plan.start names it"), "it (a new run: --from-run names it)"),
        (Rejected("it costs", hint="a noise_multiplier of at least 112.3"), "it costs (--noise at least 112.3)"),
        (Rejected("plan.options.eta: no", hint=""), "--option eta: plan.options.eta: no"),
        (Rejected("plan.secure.max_weight: no", hint=""), "--secure-max-weight: plan.secure.max_weight: no"),
        (
            Rejected("plan.folding: no", hint="plan.options.max_staleness says"),
            "--fold-late: plan.folding: no (--option",
        ),
        (Rejected("it", hint="plan.secure.dropout says"), "it (--secure-dropout says)"),
        (Rejected("no device"), "no device"),
    ],
)
def test_what_the_hub_refuses_is_told_in_options_and_commands(error: Rejected, said: str) -> None:
    assert in_options(error).startswith(said)
