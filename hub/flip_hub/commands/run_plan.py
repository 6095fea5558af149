"""The options of `flip-hub runs start` that say what the engine does around the app: its plan."""

import argparse

from flip_hub.commands.run_privacy import add_privacy, privacy_of
from flip_hub.federation.plan import Plan


def add_plan(parser: argparse.ArgumentParser) -> None:
    add_privacy(parser)


def plan_of(options: argparse.Namespace) -> Plan:
    """Raises `Rejected` that names the option."""
    return Plan(privacy=privacy_of(options))
