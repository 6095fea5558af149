"""`flip-hub confirm`: what the console's page does for a command line elsewhere, for who has no browser at hand."""

import argparse

from flip_hub.commands.connection import the_people
from flip_hub.commands.output import say
from flip_hub.commands.parsing import AddParser, add_command


def add_parser(add: AddParser) -> None:
    made = add_command(add, "confirm", confirm, "let a command line that shows a code (flwr login) act for you")
    made.add_argument("code", metavar="CODE", help="the last part of the address that it shows, as BCDF-GHJK")
    made.add_argument("--refuse", action="store_true", help="do not let it")


def confirm(options: argparse.Namespace) -> None:
    with the_people() as hub:
        login = hub.decide_terminal_login(options.code, confirmed=not options.refuse)
    say(f"the command line at {login.address} {'was refused' if options.refuse else 'acts for you now'}")
