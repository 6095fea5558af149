"""`flip-hub lab`: a run on virtual devices, to which what happens to real ones happens by a seed."""

import argparse
import importlib.util
import os
import sys
from pathlib import Path

import msgspec

from flip_hub.commands.parsing import AddParser, add_command, setting
from flip_hub.commands.run_plan import add_plan, plan_of
from flip_hub.federation.lab_request import LabRequest, decode, encode
from flip_runtime.errors import ConfigError, Rejected
from flip_runtime.refused_value import wanted

_PROGRAM = "flip_lab"
_NEEDS = ("flip_agent", "flip_demo", "aiosqlite", "flwr")
_OF_REAL_HUBS = {
    "from_model": "a fresh hub, which has no models",
    "from_run": "a fresh hub, which has no runs",
    "dataset": "a fresh hub, which has no datasets",
    "tag": "virtual devices, which have no tags",
    "site": "virtual devices, which have no sites",
    "on_mains": "virtual devices, which say nothing of their power",
    "unmetered": "virtual devices, which say nothing of their link",
}
"""Options of a run that no run of a lab can have: on what it is instead."""


def add_parser(add: AddParser) -> None:
    lab = add_command(add, "lab", run_lab, "run a Flower app on virtual devices with faults")
    lab.add_argument("folder", type=Path, metavar="APP_FOLDER", help="the folder with the app's pyproject.toml")
    lab.add_argument("--devices", type=int, default=10, metavar="N", help="virtual ones (10)")
    lab.add_argument("--faults", type=Path, metavar="FILE", help="what happens to them (TOML); none: nothing does")
    lab.add_argument("--config", action="append", default=[], metavar="KEY=VALUE", help="override the app's config")
    lab.add_argument("--metric", default="accuracy", metavar="NAME", help="that is shown for each round")
    lab.add_argument("--report", type=Path, metavar="FILE", help="where the whole report goes, as JSON")
    lab.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes that train")
    lab.add_argument("--keep", type=Path, metavar="FOLDER", help="for all that the lab writes: logs, registry, devices")
    add_plan(lab, without=_OF_REAL_HUBS)


def run_lab(options: argparse.Namespace) -> None:
    """Does not return. Raises `ConfigError` where a part of FLIP is missing, `Rejected` for what cannot be."""
    _check(options)
    missing = [name for name in (_PROGRAM, *_NEEDS) if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the lab needs {', '.join(missing)}", hint="it runs agents too: pip install 'flip-edge[agent,hub,demo]'"
        )
    plan, seed = plan_of(options), options.seed or 0
    private = plan.privacy is not None  # whose noise must not follow from a seed
    request = LabRequest(
        app=options.folder,
        devices=options.devices,
        faults=options.faults,
        seed=seed,
        config=dict(setting(text, "--config num-server-rounds=5") for text in options.config),
        plan=plan if private else msgspec.structs.replace(plan, seed=seed),
        metric=options.metric,
        report=options.report,
        workers=options.workers,
        folder=options.keep,
    )
    try:
        text = encode(request)
        decode(text)
    except msgspec.ValidationError as error:
        field, words = wanted(str(error))
        raise Rejected(f"--{field}: {words}") from error
    os.execv(sys.executable, [sys.executable, "-m", _PROGRAM, text])  # noqa: S606


def _check(options: argparse.Namespace) -> None:
    """Raises `Rejected` that names the option which makes no sense in a lab."""
    for name, instead in _OF_REAL_HUBS.items():
        if getattr(options, name):
            raise Rejected(f"--{name.replace('_', '-')}: a lab runs on {instead}", hint="leave it out")
