"""`flip-hub lab` offers what a run in a lab can have, and refuses by its name what only a real hub's run has."""

import argparse

import pytest

from flip_hub.commands.lab import add_parser, run_lab
from flip_hub.commands.runs import add_parser as add_runs
from flip_runtime.errors import Rejected

OF_REAL_HUBS = ["--from-model", "--from-run", "--dataset", "--tag", "--site", "--on-mains", "--unmetered"]


def helped(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    parser = argparse.ArgumentParser()
    add = parser.add_subparsers().add_parser
    add_parser(add)
    add_runs(add)
    with pytest.raises(SystemExit):
        parser.parse_args([*words, "--help"])
    return capsys.readouterr().out


def test_the_help_offers_only_what_a_lab_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    of_lab, of_runs = helped(capsys, "lab"), helped(capsys, "runs", "start")
    assert [option for option in OF_REAL_HUBS if option in of_lab] == []
    assert [option for option in OF_REAL_HUBS if option not in of_runs] == []
    assert "--quorum" in of_lab


@pytest.mark.parametrize("option", OF_REAL_HUBS)
def test_an_option_that_only_a_real_hubs_run_has_is_refused_by_its_name(option: str) -> None:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers().add_parser)
    value = [] if option in ("--on-mains", "--unmetered") else ["x"]
    options = parser.parse_args(["lab", "examples/digits", option, *value])
    with pytest.raises(Rejected, match=f"{option}: a lab runs on"):
        run_lab(options)


@pytest.mark.parametrize("option", ["--devices", "--workers"])
def test_a_number_that_cannot_be_is_refused_by_its_option(option: str) -> None:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers().add_parser)
    with pytest.raises(Rejected, match=f"{option}: it must be a whole number >= 1"):
        run_lab(parser.parse_args(["lab", "examples/digits", option, "0"]))
