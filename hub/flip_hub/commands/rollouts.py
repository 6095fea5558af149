"""`flip-hub rollouts`: versions on their way to the fleet, ring by ring."""

import argparse
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec

from flip_hub.commands.connection import the_rollouts
from flip_hub.commands.output import say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json
from flip_hub.rollouts.schemas import RingProgress, RingState, Rollout, RolloutRequest, RolloutStatus
from flip_hub.rollouts.terms import Gates, Ring
from flip_hub.rollouts_client import RolloutsApi
from flip_runtime.errors import Rejected
from flip_runtime.refused_value import wanted

T = TypeVar("T", Ring, Gates)

_RING = "canary,share=0.05,soak=3600"
_GATES = ", ".join(Gates.__struct_fields__)


def add_parser(add: AddParser) -> None:
    rollouts = add_group(add, "rollouts", "versions on their way to the fleet, ring by ring")
    listed = add_json(add_command(rollouts, "list", list_rollouts, "rollouts, newest first"))
    listed.add_argument("--model", metavar="NAME")
    listed.add_argument("--status", choices=[each.value for each in RolloutStatus])
    shown = add_json(add_command(rollouts, "show", show_rollout, "rings, what each gate says, and what was done"))
    shown.add_argument("id", metavar="ID")
    shown.add_argument("--devices", action="store_true", help="which device is in which ring, and how far it is")
    start = add_json(add_command(rollouts, "start", start_rollout, "bring a version to the first ring"))
    start.add_argument("name", metavar="NAME", help="of the model")
    start.add_argument("version", type=int, metavar="VERSION")
    start.add_argument("--ring", action="append", default=[], metavar="NAME[,KEY=VALUE...]", help=f"such as {_RING}; "
                       "keys: share (0 to 1), tag, site (both may come again), soak (seconds). The last one is "
                       "everybody. Without any, as the hub's settings say")  # fmt: skip
    start.add_argument(
        "--gate", action="append", default=[], metavar="KEY=VALUE", help=f"such as errors=0.01; there are: {_GATES}"
    )
    start.add_argument("--again", action="store_true", help="although a rollout went back from this version before")
    for name, command, text in (
        ("halt", halt_rollout, "open no further ring; what was brought stays, and is watched"),
        ("resume", resume_rollout, "go on with one that was halted"),
        ("rollback", roll_back, "have every device serve the version before"),
    ):
        parser = add_json(add_command(rollouts, name, command, text))
        parser.add_argument("id", metavar="ID")
        parser.add_argument("--reason", default="", metavar="TEXT", help="others will want to know")


def list_rollouts(options: argparse.Namespace) -> None:
    sought = {"model": options.model, "status": options.status}
    with the_rollouts() as hub:
        found = hub.rollouts(**{name: value for name, value in sought.items() if value})
    rows = [
        (each.id, each.model, each.version, each.status, _rings(each), when(each.started_at), _why(each))
        for each in found
    ]
    show(options, found, ("ID", "MODEL", "VERSION", "STATUS", "RINGS", "STARTED", "WHY"), rows)


def show_rollout(options: argparse.Namespace) -> None:
    with the_rollouts() as hub:
        rollout = hub.rollout(options.id)
        devices = hub.ring_devices(options.id) if options.devices else []
    if options.json:
        show(options, {"rollout": rollout, "devices": devices} if options.devices else rollout, (), [])
        return
    for line in _lines(rollout):
        say(line)
    if options.devices:
        rows = [
            (each.device_id, each.name, each.ring, each.standing, each.serves or "", each.reason) for each in devices
        ]
        show(options, devices, ("ID", "NAME", "RING", "STANDING", "SERVES", "REASON"), rows)


def start_rollout(options: argparse.Namespace) -> None:
    request = RolloutRequest(
        model=options.name,
        version=options.version,
        rings=[_ring(text) for text in options.ring],
        gates=_gates(options.gate) if options.gate else None,
        again=options.again,
    )
    with the_rollouts() as hub:
        _told(options, hub.start_rollout(request))


def halt_rollout(options: argparse.Namespace) -> None:
    _decide(options, RolloutsApi.halt_rollout)


def resume_rollout(options: argparse.Namespace) -> None:
    _decide(options, RolloutsApi.resume_rollout)


def roll_back(options: argparse.Namespace) -> None:
    _decide(options, RolloutsApi.roll_back)


def _decide(options: argparse.Namespace, decide: Callable[[RolloutsApi, str, str], Rollout]) -> None:
    with the_rollouts() as hub:
        _told(options, decide(hub, options.id, options.reason))


def _told(options: argparse.Namespace, rollout: Rollout) -> None:
    show(options, rollout, (), [])
    if not options.json:
        say(f"{rollout.id}: version {rollout.version} of {rollout.model} is {rollout.status}, ring {_rings(rollout)}")


# ---- what is typed -------------------------------------------------------------------------------------------------


def _ring(text: str) -> Ring:
    """`NAME,share=0.1,tag=a,tag=b,soak=60`."""
    name, *rest = text.split(",")
    values: dict[str, Any] = {"name": name, "tags": [], "sites": []}
    for each in rest:
        key, _, value = each.partition("=")
        if key in ("tag", "site"):
            values[f"{key}s"].append(value)
        elif key in ("share", "soak"):
            values[key] = value
        else:
            raise Rejected(f"--ring {text!r}: there is no key {key!r}", hint=f"for example --ring {_RING}")
    return _converted(values, Ring, f"--ring {text!r}")


def _gates(texts: list[str]) -> Gates:
    values = {key: value for key, _, value in (text.partition("=") for text in texts)}
    for key in values:
        if key not in Gates.__struct_fields__:
            raise Rejected(f"--gate: there is no gate {key[:40]!r}", hint=f"there are: {_GATES}")
    return _converted(values, Gates, f"--gate {' '.join(texts)}")


def _converted(values: dict[str, Any], kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        field, words = wanted(str(error))
        raise Rejected(f"{where}: {field} is not possible", hint=words) from error


# ---- what is shown -------------------------------------------------------------------------------------------------


def _lines(rollout: Rollout) -> Iterator[str]:
    before = "there is none before" if rollout.before is None else f"in place of version {rollout.before}"
    why = f": {rollout.reason}" if rollout.reason else ""
    yield f"{rollout.id}: version {rollout.version} of {rollout.model} ({before}) is {rollout.status}{why}"
    for ring in rollout.rings:
        yield f"  ring {ring.ring.name} ({_whom(ring)}): {_progress(ring)}"
    for check in rollout.checks:
        yield f"  gate {check.gate}: {check.verdict}: {check.text}"
    for step in rollout.steps:
        what = " ".join(filter(None, (step.kind, step.ring)))
        by = f" by {step.by}" if step.by else ""
        yield f"  {when(step.at)} {what}{by}{f': {step.reason}' if step.reason else ''}"


def _whom(ring: RingProgress) -> str:
    asked = ring.ring
    parts = [f"{asked.share:.0%}"] if asked.share < 1 else []
    parts += [f"tag {tag}" for tag in asked.tags] + [f"site {site}" for site in asked.sites]
    return ", ".join(parts) or "everybody"


def _progress(ring: RingProgress) -> str:
    if ring.state is RingState.PENDING:
        return ring.state
    counts = ring.counts
    told = [f"{counts.serving} of {counts.devices} serve it"]
    told += [f"{count} {what}" for count, what in (
        (counts.refused, "refused it"), (counts.rolled_back, "went back"), (counts.silent, "are silent")
    ) if count]  # fmt: skip
    return f"{ring.state}, {', '.join(told)}{f'; {ring.why}' if ring.why else ''}"


def _rings(rollout: Rollout) -> str:
    return f"{rollout.opened}/{len(rollout.rings)}"


def _why(rollout: Rollout) -> str:
    return rollout.reason or (rollout.rings[rollout.opened - 1].why if rollout.active else "")
