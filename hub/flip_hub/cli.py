"""The command line `flip-hub`: collects the commands, and ends with one line when one of them fails."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

from flip_hub.commands import (
    alerts,
    apps,
    audit,
    backup,
    certificate,
    confirm,
    daemon,
    datasets,
    devices,
    enrolment,
    lab,
    login,
    models,
    receipts,
    rollouts,
    runs,
    strategies,
    tokens,
    users,
)
from flip_hub.commands.parsing import Command
from flip_hub.commands.words import in_options
from flip_runtime.errors import ConfigError, FlipError

GROUPS = (
    *(daemon, certificate, login, confirm, enrolment, devices, apps, runs, strategies, models, datasets, rollouts),
    *(lab, receipts, alerts, users, tokens, audit, backup),
)
"""In the order of `flip-hub --help`."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit status 78 for configuration, 1 for other errors: one line each, never a traceback."""
    options = command_line().parse_args(arguments)
    command: Command = options.command
    try:
        command(options)
    except FlipError as error:
        sys.stderr.write(f"flip-hub: {in_options(error)}\n")
        raise SystemExit(ConfigError.exit_status if isinstance(error, ConfigError) else 1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(0) from None


def command_line() -> argparse.ArgumentParser:
    """Also the source of the manual page and of the shell's completion."""
    parser = argparse.ArgumentParser(prog="flip-hub", description="The hub of a FLIP federation.")
    parser.add_argument("--version", action="version", version=version("flip-edge"))
    add = parser.add_subparsers(required=True, metavar="COMMAND").add_parser
    for group in GROUPS:
        group.add_parser(add)
    return parser
