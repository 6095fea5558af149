"""`flip-hub apps`: Flower apps, and whose signature devices trust."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from flip_hub.commands.connection import the_hub
from flip_hub.commands.files import read_file
from flip_hub.commands.output import say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json
from flip_hub.commands.passwords import asked
from flip_runtime.errors import Rejected

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def add_parser(add: AddParser) -> None:
    apps = add_group(add, "apps", "Flower apps, and whose signature devices trust")
    add_json(add_command(apps, "list", list_apps, "every app, and who has signed it"))
    sign = add_command(apps, "sign", sign_app, "upload an app with the signature of a key that devices trust")
    sign.add_argument("app", type=Path, metavar="APP", help="the app's folder, or a FAB")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="private key (ssh-keygen -t ed25519)")

    keys = add_group(apps, "keys", "the keys")
    add_json(add_command(keys, "list", list_app_keys, "the keys whose signature devices trust"))
    made = add_command(keys, "add", add_app_key, "have devices trust a key, from when they enrol")
    made.add_argument("public_key", type=Path, metavar="FILE", help="public key (FILE.pub of ssh-keygen -t ed25519)")
    made.add_argument("--name", help="whose key it is; by default the file's name")
    add_command(keys, "remove", remove_app_key, "trust a key no more").add_argument("id", metavar="ID")


def list_apps(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        apps = hub.apps()
        names = {key.id: key.name for key in hub.app_keys()}
    rows = [
        (
            app.fab_hash[:12],
            app.name,
            app.version,
            ", ".join(names.get(s.key, s.key) for s in app.signatures) or "nobody",
        )
        for app in apps
    ]
    show(options, apps, ("HASH", "NAME", "VERSION", "SIGNED BY"), rows)


def sign_app(options: argparse.Namespace) -> None:
    from flip_hub.apps.signatures import sign_app as signature_of
    from flip_hub.federation.fab import build_fab  # imports Flower: a second that no other command should wait

    key = _private_key(options.key)
    fab = build_fab(options.app) if options.app.is_dir() else read_file(options.app)
    with the_hub() as hub:
        app = hub.upload_app(fab)
        signature = signature_of(key, app.fab_hash, time.time())
        app = hub.sign_app(app.fab_hash, signature)
    say(f"{app.name} {app.version} is signed by {signature.key}")


def list_app_keys(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        keys = hub.app_keys()
    rows = [(key.id, key.name, key.added_by, when(key.added_at) if key.added_at else "") for key in keys]
    show(options, keys, ("ID", "NAME", "ADDED BY", "ADDED"), rows)


def add_app_key(options: argparse.Namespace) -> None:
    line = read_file(options.public_key).decode(errors="replace").strip()
    if "PRIVATE KEY" in line:
        raise Rejected(f"{options.public_key} is a private key, which never leaves its owner", hint="name its .pub")
    with the_hub() as hub:
        key = hub.add_app_key(line, options.name or options.public_key.stem)
    say(f"devices that enrol from now on run what {key.name} ({key.id}) has signed; others once they enrol again")


def remove_app_key(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        key = hub.remove_app_key(options.id)
    say(f"{key.name} ({key.id}) is not trusted any more; devices forget the key when they enrol again")


def _private_key(path: Path) -> "Ed25519PrivateKey":
    from flip_hub.apps.signatures import LockedKey, load_private_key

    content = read_file(path)
    try:
        return load_private_key(content)
    except LockedKey:
        return load_private_key(content, asked(f"Passphrase of {path}: ", hint="run this in a terminal").encode())
