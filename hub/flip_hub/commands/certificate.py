"""`flip-hub certificate`: for a proxy before the hub, of the authority that devices trust already."""

import argparse
from pathlib import Path

from flip_hub.commands.output import say
from flip_hub.commands.parsing import AddParser, add_command, add_config
from flip_hub.settings import Settings
from flip_runtime.config import load_config


def add_parser(add: AddParser) -> None:
    made = add_command(add, "certificate", certificate, "make a proxy's certificate with the hub's own authority")
    add_config(made)
    made.add_argument("names", nargs="+", metavar="NAME", help="DNS names and addresses of the proxy")
    made.add_argument("--folder", type=Path, default=Path(), metavar="PATH", help="where proxy.pem and .key go (.)")


def certificate(options: argparse.Namespace) -> None:
    from flip_hub.credentials import issue_certificate

    settings = load_config(Settings, options.config)
    for path in issue_certificate(settings.hub.state, options.names, options.folder):
        say(str(path))
