"""`flip-hub backup` and `flip-hub restore`: the registry in one file, on the hub's machine."""

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from flip_hub.commands.connection import answers
from flip_hub.commands.output import say, when
from flip_hub.commands.parsing import AddParser, add_command, add_config
from flip_hub.settings import Settings
from flip_runtime.config import load_config
from flip_runtime.errors import Corrupt, Rejected, Unavailable

if TYPE_CHECKING:
    from flip_hub.mongo import Database

T = TypeVar("T")


def add_parser(add: AddParser) -> None:
    made = add_command(add, "backup", take, "write the registry into one file, while the hub runs")
    made.add_argument("file", type=Path, metavar="FILE")
    made.add_argument("--with-artifacts", action="store_true", help="model files and apps, too")
    add_config(made)
    made = add_command(add, "restore", restore, "put a backup into an empty registry, while no hub runs")
    made.add_argument("file", type=Path, metavar="FILE")
    made.add_argument("--replace", action="store_true", help="delete what is in the registry")
    add_config(made)


def take(options: argparse.Namespace) -> None:
    from flip_hub.backup.taking import take_backup

    settings = load_config(Settings, options.config)

    async def taking(database: "Database") -> None:
        with_artifacts: bool = options.with_artifacts
        taken = await take_backup(settings, database, options.file, with_artifacts=with_artifacts, by=_by())
        files = f" and {taken.end.files} files" if with_artifacts else ", without model files and apps"
        say(f"{sum(taken.end.documents.values())} documents{files} are in {options.file}")
        say(f"the hub's keys are not: keep a copy of {settings.hub.state} as well")
        if taken.missing:
            raise Corrupt(f"{len(taken.missing)} files that the registry names are missing: {taken.missing[0]}, ...")

    _with_registry(settings, taking)


def restore(options: argparse.Namespace) -> None:
    from flip_hub.backup.restoring import restore_backup

    settings = load_config(Settings, options.config)
    if answers(settings.hub.admin_socket):
        raise Rejected("the hub is running on this machine", hint="stop it, and every other hub of this registry")

    async def restoring(database: "Database") -> None:
        restored = await restore_backup(settings, database, options.file, replace=options.replace, by=_by())
        documents = sum(restored.end.documents.values())
        say(f"{documents} documents and {restored.end.files} files of {when(restored.header.taken_at)} are restored")
        if restored.superseded:
            say(f"{restored.superseded} of them had changed while the backup was taken; the newer ones hold")
        if restored.missing:
            say(f"{len(restored.missing)} model files or apps are missing here: copy them into the artifacts' place")
        if restored.broken is not None:
            raise Corrupt(f"the audit in it is broken: {restored.broken.what}")

    _with_registry(settings, restoring)


def _with_registry(settings: Settings, work: "Callable[[Database], Awaitable[None]]") -> None:
    from flip_hub.mongo import DatabaseDown, Mongo

    async def run() -> None:
        mongo = Mongo(settings.mongo)
        try:
            await work(mongo.database)
        except DatabaseDown as error:
            hint = "start it, or correct mongo.url"
            raise Unavailable(f"MongoDB is not reachable at {mongo.server}", hint=hint) from error
        finally:
            mongo.close()

    asyncio.run(run())


def _by() -> str:
    """As the admin socket names who comes over it."""
    return f"local:{os.getuid()}"
