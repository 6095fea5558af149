"""The command line `flip-hub`: what there is to say. What is done lies in `founding`, `daemon` and `commands`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from flip_hub import commands
from flip_hub.settings import Settings
from flip_runtime.config import load_config
from flip_runtime.errors import ConfigError, FlipError
from flip_runtime.logs import configure_logs

Command = Callable[[argparse.Namespace], None]
AddParser = Callable[..., argparse.ArgumentParser]


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit status 78 for configuration, 1 for other errors: one line each, never a traceback."""
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        command(options)
    except FlipError as error:
        sys.stderr.write(f"flip-hub: {error}\n")
        raise SystemExit(ConfigError.exit_status if isinstance(error, ConfigError) else 1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(0) from None


def init(options: argparse.Namespace) -> None:
    from flip_hub.founding import found_hub

    settings = load_config(Settings, options.config)
    for line in found_hub(settings, options.admin, options.password_file):
        sys.stdout.write(f"{line}\n")


def serve(options: argparse.Namespace) -> None:
    settings = load_config(Settings, options.config)
    configure_logs(json=settings.logs.json, level=settings.logs.level)
    from flip_hub.daemon import run_hub  # imports Flower: seconds that no other command should wait

    run_hub(settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="flip-hub", description="The hub of a FLIP federation.")
    parser.add_argument("--version", action="version", version=version("flip-edge"))
    command = parser.add_subparsers(required=True, metavar="COMMAND").add_parser

    made = _add(command, "init", init, "make the keys and the first admin; keeps what is there")
    _add_config(made)
    made.add_argument("--admin", default="admin", metavar="NAME", help="name of the first admin")
    made.add_argument("--password-file", type=Path, metavar="PATH", help="write the generated password there (0600)")

    _add_config(_add(command, "serve", serve, "run the hub until SIGTERM or Ctrl-C"))

    made = _add(command, "login", commands.login, "log in to a hub; the session is kept for the commands below")
    made.add_argument("url", metavar="URL", help="for example http://127.0.0.1:8000")
    made.add_argument("--username", required=True, metavar="NAME")
    made.add_argument("--password-file", type=Path, metavar="PATH", help="instead of asking for the password")

    tokens = command("enrolment-tokens", help="tokens by which devices join")
    add_token = tokens.add_subparsers(required=True, metavar="ACTION").add_parser
    made = _add(add_token, "create", commands.create_enrolment_token, "make a token for one device")
    made.add_argument("--lifetime", type=float, default=3600.0, metavar="SECONDS")
    _add_json(made)

    _add_apps(command("apps", help="Flower apps, and whose signature devices trust"))
    _add_devices(command("devices", help="the devices of the fleet"))
    _add_runs(command("runs", help="federated runs"))
    _add_models(command("models", help="the models that runs made"))
    return parser


def _add_apps(parser: argparse.ArgumentParser) -> None:
    add = parser.add_subparsers(required=True, metavar="ACTION").add_parser
    _add_json(_add(add, "list", commands.list_apps, "every app, and who has signed it"))
    sign = _add(add, "sign", commands.sign_app, "upload an app with the signature of a key that devices trust")
    sign.add_argument("app", type=Path, metavar="APP", help="the app's folder, or a FAB")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="private key (ssh-keygen -t ed25519)")
    add_key = add("keys", help="the keys").add_subparsers(required=True, metavar="ACTION").add_parser
    _add_json(_add(add_key, "list", commands.list_app_keys, "the keys whose signature devices trust"))
    made = _add(add_key, "add", commands.add_app_key, "have devices trust a key, from when they enrol")
    made.add_argument("public_key", type=Path, metavar="FILE", help="public key (FILE.pub of ssh-keygen -t ed25519)")
    made.add_argument("--name", help="whose key it is; by default the file's name")
    _add(add_key, "remove", commands.remove_app_key, "trust a key no more").add_argument("id", metavar="ID")


def _add_devices(parser: argparse.ArgumentParser) -> None:
    add = parser.add_subparsers(required=True, metavar="ACTION").add_parser
    _add_json(_add(add, "list", commands.list_devices, "every device, with its state"))
    made = _add(add, "add", commands.add_device, "enrol a key for Flower's own SuperNode, which has no flip-agent")
    made.add_argument("name", metavar="NAME", help="for people")
    made.add_argument(
        "--public-key", type=Path, required=True, metavar="FILE", help="P-384: ssh-keygen -t ecdsa -b 384"
    )
    made.add_argument("--folder", type=Path, default=Path(), metavar="PATH", help="where what it needs is written (.)")
    _add(add, "revoke", commands.revoke_device, "shut a device out for good").add_argument("id", metavar="ID")


def _add_runs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_subparsers(required=True, metavar="ACTION").add_parser
    start = _add(add, "start", commands.start_run, "run a Flower app on the fleet")
    start.add_argument("folder", type=Path, metavar="APP_FOLDER", help="the folder with the app's pyproject.toml")
    start.add_argument("--config", action="append", default=[], metavar="KEY=VALUE", help="override the app's config")
    start.add_argument("--promote", choices=["best", "none"], default="best", help="what devices serve afterwards")
    start.add_argument("--metric", default="accuracy", metavar="NAME", help="what decides which version is best")
    start.add_argument("--follow", action="store_true", help="wait for the end and show each round")
    _add_json(_add(add, "list", commands.list_runs, "every run, newest first"))
    for name, command, text in (
        ("show", commands.show_run, "a run and its rounds"),
        ("log", commands.show_run_log, "what its ServerApp wrote"),
        ("stop", commands.stop_run, "end a run"),
    ):
        _add_json(_add(add, name, command, text)).add_argument("id", metavar="ID")


def _add_models(parser: argparse.ArgumentParser) -> None:
    add = parser.add_subparsers(required=True, metavar="ACTION").add_parser
    _add_json(_add(add, "list", commands.list_models, "every model"))
    promote = _add(add, "promote", commands.promote_version, "have the devices serve a version")
    promote.add_argument("name", metavar="NAME")
    promote.add_argument("version", type=int, metavar="VERSION")


def _add(add_parser: AddParser, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    parser = add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="hub.toml; FLIP_SECTION__KEY sets single values")


def _add_json(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    return parser
