"""`flip-hub models`: the models that runs made."""

import argparse

from flip_hub.commands.connection import the_hub
from flip_hub.commands.output import say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json


def add_parser(add: AddParser) -> None:
    models = add_group(add, "models", "the models that runs made")
    add_json(add_command(models, "list", list_models, "every model"))
    promote = add_command(models, "promote", promote_version, "have the devices serve a version")
    promote.add_argument("name", metavar="NAME")
    promote.add_argument("version", type=int, metavar="VERSION")


def list_models(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        models = hub.models()
    rows = [(m.name, m.versions, m.latest, m.promoted or "", when(m.updated_at)) for m in models]
    show(options, models, ("NAME", "VERSIONS", "LATEST", "PROMOTED", "CHANGED"), rows)


def promote_version(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        version = hub.promote(options.name, options.version)
    say(f"devices shall serve version {version.version} of {version.model}")
