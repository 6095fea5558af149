"""`flip-hub alerts`: what somebody should look at, and of what nobody shall be told."""

import argparse
import time

from flip_hub.alerts.schemas import LONGEST_SILENCE, SilenceRequest
from flip_hub.commands.connection import the_alerts
from flip_hub.commands.output import say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json
from flip_runtime.errors import Rejected

_LONGEST = LONGEST_SILENCE / 3600 - 1
"""Hours; the hub's clock may be behind this machine's."""


def add_parser(add: AddParser) -> None:
    alerts = add_group(add, "alerts", "what somebody should look at")
    listed = add_json(add_command(alerts, "list", list_alerts, "alerts, newest first"))
    listed.add_argument("--status", choices=["open", "resolved", "all"], default="open")
    listed.add_argument("--rule", default="", metavar="CODE")
    listed.add_argument("--device", default="", metavar="ID")
    add_command(alerts, "ack", acknowledge, "say that somebody looks after it").add_argument("id", metavar="ID")
    add_json(add_command(alerts, "silences", list_silences, "silences that are not over"))
    made = add_json(add_command(alerts, "silence", silence, "tell nobody of what matches, for some hours"))
    made.add_argument("why", metavar="WHY", help="others will want to know")
    made.add_argument("--hours", type=float, default=2.0, metavar="N")
    made.add_argument("--rule", default="", metavar="CODE")
    made.add_argument("--device", default="", metavar="ID")
    made.add_argument("--tag", default="", metavar="TAG", help="of devices")
    made.add_argument("--everything", action="store_true", help="whatever it is, and whose")
    add_command(alerts, "unsilence", end_silence, "end a silence").add_argument("id", metavar="ID")


def list_alerts(options: argparse.Namespace) -> None:
    with the_alerts() as hub:
        alerts = hub.alerts(options.status, rule=options.rule, device=options.device)
    rows = [
        (each.id, each.severity, each.title, each.name or each.run_id, when(each.opened_at), each.text)
        for each in alerts
    ]
    show(options, alerts, ("ID", "SEVERITY", "WHAT", "OF", "SINCE", "TEXT"), rows)


def acknowledge(options: argparse.Namespace) -> None:
    with the_alerts() as hub:
        alert = hub.acknowledge(options.id)
    say(f"{alert.title} {alert.name}: {alert.acknowledged_by} looks after it")


def list_silences(options: argparse.Namespace) -> None:
    with the_alerts() as hub:
        silences = hub.silences()
    rows = [
        (each.id, each.rule or "any", each.device_id or "any", each.tag, when(each.until), each.by, each.why)
        for each in silences
    ]
    show(options, silences, ("ID", "RULE", "DEVICE", "TAG", "UNTIL", "BY", "WHY"), rows)


def silence(options: argparse.Namespace) -> None:
    if not (options.rule or options.device or options.tag or options.everything):
        raise Rejected("this would silence every alert", hint="name --rule, --device or --tag, or say --everything")
    if not 0 < options.hours <= _LONGEST:
        raise Rejected(f"--hours {options.hours:g} is out of bounds", hint=f"more than 0 and at most {_LONGEST:g}")
    wanted = SilenceRequest(
        why=options.why,
        until=time.time() + options.hours * 3600,
        rule=options.rule,
        device_id=options.device,
        tag=options.tag,
    )
    with the_alerts() as hub:
        made = hub.silence(wanted)
    show(options, made, (), [])
    if not options.json:
        say(f"{made.id} until {when(made.until)}")


def end_silence(options: argparse.Namespace) -> None:
    with the_alerts() as hub:
        ended = hub.end_silence(options.id)
    say(f"{ended.id} is over")
