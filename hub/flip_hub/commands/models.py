"""`flip-hub models`: the models that runs made, their versions, and who made these."""

import argparse

from flip_hub.commands.connection import the_hub
from flip_hub.commands.output import say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json
from flip_hub.lineage.schemas import Lineage
from flip_hub.models.schemas import ModelVersion


def add_parser(add: AddParser) -> None:
    models = add_group(add, "models", "the models that runs made")
    add_json(add_command(models, "list", list_models, "every model"))
    shown = add_json(add_command(models, "show", show_model, "the versions of a model, newest first"))
    shown.add_argument("name", metavar="NAME")
    for name, command, text in (
        ("lineage", show_lineage, "the run and the devices that made a version, and those that serve it"),
        ("promote", promote_version, "have the devices serve a version"),
    ):
        parser = add_json(add_command(models, name, command, text))
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("version", type=int, metavar="VERSION")


def list_models(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        models = hub.models()
    rows = [(m.name, m.versions, m.latest, m.promoted or "", when(m.updated_at)) for m in models]
    show(options, models, ("NAME", "VERSIONS", "LATEST", "PROMOTED", "CHANGED"), rows)


def show_model(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        versions = hub.versions(options.name)
    rows = [
        (v.version, when(v.manifest.created_at), v.manifest.run_id, v.manifest.round or "", _metrics(v), _standing(v))
        for v in versions
    ]
    show(options, versions, ("VERSION", "MADE", "RUN", "ROUND", "METRICS", ""), rows)


def show_lineage(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        lineage = hub.lineage(options.name, options.version)
    if options.json:
        show(options, lineage, (), [])
        return
    say(_origin(lineage))
    made = [
        (each.device_id, each.rounds, f"{each.weight:g}", "" if each.last_weight is None else f"{each.last_weight:g}")
        for each in lineage.contributors
    ]
    if made:
        show(options, made, ("MADE BY", "ROUNDS", "EXAMPLES", "IN ITS ROUND"), made)
    served = [(each.device_id, when(each.since), lineage.rings.get(each.device_id, "")) for each in lineage.deployments]
    if served:
        show(options, served, ("SERVED BY", "SINCE", "RING"), served)
    for rollout in lineage.rollouts:
        say(f"{rollout.id} brought it, and is {rollout.status}: flip-hub rollouts show {rollout.id}")
    if lineage.run is not None:
        say(f"each update in it, signed: flip-hub runs receipts {lineage.run.id}")


def promote_version(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        version = hub.promote(options.name, options.version)
    show(options, version, (), [])
    if not options.json:
        say(f"devices shall serve version {version.version} of {version.model}")


def _origin(lineage: Lineage) -> str:
    version, run = lineage.version, lineage.run
    name = f"version {version.version} of {version.model}"
    if run is None:
        return f"{name}: no run of this hub made it"
    before = "" if lineage.before is None else f", after version {lineage.before}"
    return f"{name}: round {version.manifest.round} of {run.id} ({run.app}){before}"


def _metrics(version: ModelVersion) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(version.manifest.metrics.items()))


def _standing(version: ModelVersion) -> str:
    if version.withdrawn:
        return f"withdrawn: {version.withdrawn}"
    return "promoted" if version.promoted else "" if version.deployable else "weights only"
