"""`flip-hub audit`: who did what, and whether what is written about it is whole."""

import argparse
import asyncio

from flip_hub.commands.connection import the_hub
from flip_hub.commands.output import say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_config, add_group, add_json
from flip_hub.settings import Settings
from flip_runtime.config import load_config
from flip_runtime.errors import Corrupt


def add_parser(add: AddParser) -> None:
    audit = add_group(add, "audit", "who did what, and who was refused")
    made = add_json(add_command(audit, "list", list_audit, "the newest entries"))
    made.add_argument("--actor", metavar="NAME", help="only of this user or device")
    made.add_argument("--action", metavar="ACTION", help="only of this kind, as the list names it")
    made.add_argument("--subject", metavar="ID", help="only about this device, run, user, ...")
    made.add_argument("--refused", action="store_true", help="only what was refused")
    made.add_argument("--limit", type=int, default=50, metavar="N")
    text = "check on the hub's machine that no entry was changed, removed or put in"
    add_config(add_command(audit, "verify", verify_audit, text))


def list_audit(options: argparse.Namespace) -> None:
    sought = {name: getattr(options, name) for name in ("actor", "action", "subject") if getattr(options, name)}
    if options.refused:
        sought["refused"] = "true"
    with the_hub() as hub:
        entries = hub.audit(options.limit, **sought)
    rows = [
        (entry.seq, when(entry.at), entry.actor or "nobody known", entry.action, entry.subject, entry.detail)
        for entry in entries
    ]
    show(options, entries, ("NUMBER", "WHEN", "WHO", "WHAT", "OF", "ANSWER"), rows)


def verify_audit(options: argparse.Namespace) -> None:
    from flip_hub.audit.inspection import inspect_audit

    verdict = asyncio.run(inspect_audit(load_config(Settings, options.config)))
    if verdict.broken is not None:
        hint = f"up to entry {verdict.end.seq} it is whole; a backup (flip-hub backup) may hold what is missing"
        raise Corrupt(f"the audit is broken: {verdict.broken.what}", hint=hint)
    say(f"the audit is whole: {verdict.end.seq} entries, the last with the hash {verdict.end.hash}")
