"""`flip-hub receipts`: what became of contributions, checked by anybody who has the file; and `runs receipts`."""

import argparse
from pathlib import Path

import msgspec

from flip_hub.apps.signatures import load_public_key
from flip_hub.commands.connection import the_hub
from flip_hub.commands.files import content_of, read_file
from flip_hub.commands.output import as_json, say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json
from flip_hub.receipts.file import Verdict, lines_of, read_lines, verify, write_lines
from flip_runtime.errors import ConfigError, Corrupt
from flip_wire.fleet import DeviceId


def add_parser(add: AddParser) -> None:
    receipts = add_group(add, "receipts", "what became of contributions, checked without a hub; and the keys for that")
    text = "check that no receipt in a file was altered, removed or moved, and all signatures"
    made = add_json(add_command(receipts, "verify", verify_receipts, text))
    made.add_argument("file", type=Path, metavar="FILE", help="of flip-hub runs receipts ID --out FILE")
    hub_key, device_keys = "the hub's public key, of flip-hub receipts key", "of flip-hub receipts device-keys ID"
    for flag, text in (("--hub-key", hub_key), ("--device-keys", device_keys)):
        made.add_argument(flag, type=Path, metavar="FILE", help=f"{text}; by default as the file says")
    add_json(add_command(receipts, "key", show_key, "the hub's public key, with which it seals them"))
    text = "JSON: public keys (PEM) by device, as the hub knows them since they enrolled"
    add_command(receipts, "device-keys", show_device_keys, text).add_argument("id", metavar="ID", help="of a run")


def add_run_receipts(runs: AddParser) -> None:
    """`flip-hub runs receipts`."""
    made = add_json(add_command(runs, "receipts", show_receipts, "what became of each contribution, as a chain"))
    made.add_argument("id", metavar="ID")
    made.add_argument("--verify", action="store_true", help="check the chain and all signatures")
    made.add_argument("--out", type=Path, metavar="FILE", help="write them to a file that anybody can check")


def show_receipts(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        seal, entries = hub.receipts_seal(options.id), hub.receipts(options.id)
    entries = entries[: seal.entries]  # a run that goes on has written more meanwhile
    if options.out is not None:
        write_lines(options.out, lines_of(entries, seal))
    if options.verify:
        _tell(verify(lines_of(entries, seal)), options.json)
    elif options.out is not None:
        say(f"{len(entries)} receipts in {options.out}; check them: flip-hub receipts verify {options.out}")
    else:
        rows = [
            (
                *(each.seq, when(each.at), each.round, each.phase, each.device_id, each.fate),
                "" if each.weight is None else f"{each.weight:.1%}",
                "yes" if each.signed else "no",
                each.reason,
            )
            for each in entries
        ]
        show(
            options, entries, ("NUMBER", "WHEN", "ROUND", "PHASE", "DEVICE", "FATE", "WEIGHT", "SIGNED", "REASON"), rows
        )


def show_key(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        key = hub.seal_key()
    say(as_json(key) if options.json else key.public_key)


def show_device_keys(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        keys = hub.device_keys(options.id)
    say(as_json(keys.public_keys))


def verify_receipts(options: argparse.Namespace) -> None:
    hub_key = "" if options.hub_key is None else _hub_key(options.hub_key)
    keys: dict[DeviceId, str] | None = None
    if options.device_keys is not None:
        try:
            keys = msgspec.json.decode(read_file(options.device_keys), type=dict[DeviceId, str])
        except msgspec.DecodeError as error:
            raise ConfigError(f"{options.device_keys}: {error}", hint='give {"dev-...": "-----BEGIN ..."}') from error
    with content_of(options.file):
        verdict = verify(read_lines(options.file), keys, hub_key)
    _tell(verdict, options.json)


def _hub_key(path: Path) -> str:
    """An empty file is none: else whoever failed to write it would trust the key that the receipts name."""
    line = read_file(path).decode(errors="replace").strip()
    with content_of(path):
        load_public_key(line)
    return line


def _tell(verdict: Verdict, json: bool) -> None:
    """Raises `Corrupt` that says what is wrong and where."""
    if json:
        say(as_json(verdict))
    if verdict.broken is not None:
        hint = f"up to entry {verdict.entries} it is whole"
        raise Corrupt(f"the receipts of {verdict.run_id} are broken: {verdict.broken.what}", hint=hint)
    if not json:
        more = "" if verdict.final else "; the run goes on"
        counts = f"{verdict.entries} entries, {verdict.signed} signed by their devices"
        say(f"the receipts of {verdict.run_id} are whole: {counts}{more}")
