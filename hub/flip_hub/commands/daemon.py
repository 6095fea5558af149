"""`flip-hub init` and `flip-hub serve`."""

import argparse
from pathlib import Path

from flip_hub.commands.output import say
from flip_hub.commands.parsing import AddParser, add_command, add_config
from flip_hub.settings import Settings
from flip_runtime.config import load_config, load_with_sources
from flip_runtime.logs import configure_logs
from flip_runtime.owner import become_owner


def add_parser(add: AddParser) -> None:
    made = add_command(add, "init", init, "make the keys and the first admin; keeps what is there")
    add_config(made)
    first = made.add_mutually_exclusive_group()
    first.add_argument("--admin", default="admin", metavar="NAME", help="name of the first admin")
    first.add_argument(
        "--no-admin", action="store_const", const=None, dest="admin", help="the console makes one, with a code"
    )
    made.add_argument("--password-file", type=Path, metavar="PATH", help="write the generated password there (0600)")
    add_config(add_command(add, "serve", serve, "run the hub until SIGTERM or Ctrl-C"))


def init(options: argparse.Namespace) -> None:
    from flip_hub.founding import found_hub

    settings = load_config(Settings, options.config)
    become_owner(settings.hub.state)
    for line in found_hub(settings, options.admin, options.password_file):
        say(line)


def serve(options: argparse.Namespace) -> None:
    settings, sources = load_with_sources(Settings, options.config)
    become_owner(settings.hub.state)
    configure_logs(json=settings.logs.json, level=settings.logs.level)
    from flip_hub.daemon import run_hub  # imports Flower: seconds that no other command should wait

    run_hub(settings, sources)
