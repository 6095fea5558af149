"""`flip-hub datasets`: files that the hub keeps for evaluation on itself, and no device has."""

import argparse
from pathlib import Path

from flip_hub.commands.connection import the_datasets
from flip_hub.commands.output import as_json, say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json
from flip_runtime.errors import Rejected


def add_parser(add: AddParser) -> None:
    datasets = add_group(add, "datasets", "files that the hub keeps for evaluation on itself")
    adding = add_json(add_command(datasets, "add", add_dataset, "upload a file"))
    adding.add_argument("name", metavar="NAME")
    adding.add_argument("file", type=Path, metavar="FILE")
    adding.add_argument("--description", default="", metavar="TEXT")
    add_json(add_command(datasets, "list", list_datasets, "every dataset"))
    add_json(add_command(datasets, "remove", remove_dataset, "remove one")).add_argument("name", metavar="NAME")


def add_dataset(options: argparse.Namespace) -> None:
    with the_datasets() as hub:
        try:
            dataset = hub.add_dataset(options.name, options.file, options.description)
        except OSError as error:
            raise Rejected(f"cannot read {options.file}: {error.strerror}") from error
    say(as_json(dataset) if options.json else f"added {dataset.name}: {dataset.size:,} bytes")


def list_datasets(options: argparse.Namespace) -> None:
    with the_datasets() as hub:
        datasets = hub.datasets()
    rows = [(each.name, f"{each.size:,}", each.added_by, when(each.added_at), each.description) for each in datasets]
    show(options, datasets, ("NAME", "BYTES", "BY", "ADDED", "DESCRIPTION"), rows)


def remove_dataset(options: argparse.Namespace) -> None:
    with the_datasets() as hub:
        dataset = hub.remove_dataset(options.name)
    say(as_json(dataset) if options.json else f"removed {dataset.name}")
