"""`flip-hub devices action`: what a device does once."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from flip_hub.actions.schemas import OPEN, ActionRequest, DeviceAction
from flip_hub.client import HubApi
from flip_hub.commands.connection import the_hub
from flip_hub.commands.output import say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json
from flip_runtime.errors import Rejected
from flip_wire.actions import ActionKind

_LOOK_EVERY = 1.0
"""Seconds between looks at an action that is followed."""


def add_parser(add: AddParser) -> None:
    """Below `devices`."""
    action = add_group(add, "action", "have a device do something once")
    asking = add_command(action, "ask", ask, "restart it, roll a model back or try it, look at its logs")
    asking.add_argument("id", metavar="DEVICE")
    asking.add_argument("kind", choices=[kind.value for kind in ActionKind])
    asking.add_argument("--model", default="", metavar="NAME", help="to roll back or try, where it serves several")
    asking.add_argument("--input", type=Path, metavar="FILE", help='JSON to try a model with: {"inputs": [...]}')
    asking.add_argument("--reason", default="", metavar="TEXT")
    asking.add_argument("--lifetime", type=float, default=3600.0, metavar="SECONDS", help="until it is too late (3600)")
    asking.add_argument("--follow", action="store_true", help="wait for what comes of it")
    add_json(asking)
    listing = add_json(add_command(action, "list", show_all, "what it was asked, newest first"))
    listing.add_argument("id", metavar="DEVICE")
    for name, command, text in (
        ("show", show_one, "what came of an action"),
        ("log", show_log, "the logs that came with it"),
    ):
        shown = add_json(add_command(action, name, command, text))
        shown.add_argument("id", metavar="DEVICE")
        shown.add_argument("action", metavar="ACTION")


def ask(options: argparse.Namespace) -> None:
    wanted = ActionRequest(
        kind=ActionKind(options.kind),
        model=options.model,
        reason=options.reason,
        input=None if options.input is None else _input(options.input),
        lifetime=options.lifetime,
    )
    with the_hub() as hub:
        action = hub.ask_action(options.id, wanted)
        if options.follow:
            action = _followed(hub, action)
    _show(options, action)


def _input(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise Rejected(f"cannot read {path}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise Rejected(f"{path} is no JSON object: {error}", hint='it holds {"inputs": [...]}') from error


def show_all(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        actions = hub.actions(options.id)
    rows = [(each.id, each.kind, each.state, when(each.asked_at), each.asked_by, _line(each)) for each in actions]
    show(options, actions, ("ID", "KIND", "STATE", "ASKED", "BY", "RESULT"), rows)


def show_one(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        _show(options, hub.action(options.id, options.action))


def show_log(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        text = hub.action_log(options.id, options.action)
    if not text:
        raise Rejected("no log came with this action", hint="flip-hub devices action ask DEVICE collect-logs")
    sys.stdout.write(text)


def _followed(hub: HubApi, action: DeviceAction) -> DeviceAction:
    while action.state in OPEN:
        time.sleep(_LOOK_EVERY)
        action = hub.action(action.device, action.id)
    return action


def _show(options: argparse.Namespace, action: DeviceAction) -> None:
    show(options, action, (), [])
    if not options.json:
        say(f"{action.id}  {action.kind}  {action.state}  asked by {action.asked_by} at {when(action.asked_at)}")
        if action.state in OPEN:
            say(f"it is begun until {when(action.expires_at)}, or never")
        if action.text:
            say(action.text)
        if action.log_size:
            say(f"the log: flip-hub devices action log {action.device} {action.id}")


def _line(action: DeviceAction) -> str:
    return action.text.splitlines()[0][:80] if action.text else ""
