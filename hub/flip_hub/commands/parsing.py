"""How a module of commands adds them to the command line."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import msgspec

from flip_hub.federation.plan import Value
from flip_runtime.errors import Rejected

DEFAULT_CONFIG = Path("/etc/flip/hub.toml")

Command = Callable[[argparse.Namespace], None]
AddParser = Callable[..., argparse.ArgumentParser]
"""`add_parser` of argparse's subparsers."""


def add_command(add: AddParser, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    parser = add(name, help=text, description=text)
    parser.set_defaults(command=command)
    return parser


def add_group(add: AddParser, name: str, text: str) -> AddParser:
    """What adds `flip-hub NAME ACTION`."""
    return add(name, help=text).add_subparsers(required=True, metavar="ACTION").add_parser


def add_config(parser: argparse.ArgumentParser) -> None:
    there = DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None
    text = f"by default {DEFAULT_CONFIG}, if it exists; FLIP_SECTION__KEY sets single values"
    parser.add_argument("--config", type=Path, metavar="FILE", default=there, help=text)


def add_json(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    return parser


def finite(text: str) -> float:
    """For argparse, which names the option."""
    number = float(text)
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text} is no number")
    return number


def setting(text: str, example: str) -> tuple[str, Value]:
    """`key=value`, where the value reads as in TOML, or else is text. Raises `Rejected`."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise Rejected(f"{text!r} is no KEY=VALUE", hint=f"for example {example}")
    try:
        return key, msgspec.json.decode(value, type=Value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return key, value
