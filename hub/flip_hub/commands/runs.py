"""`flip-hub runs`: federated runs."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from flip_hub.client import HubApi
from flip_hub.commands.connection import the_hub
from flip_hub.commands.output import as_json, say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json, setting
from flip_hub.commands.receipts import add_run_receipts
from flip_hub.commands.run_plan import add_plan, plan_of
from flip_hub.commands.run_privacy import in_words
from flip_hub.federation.schemas import Round, Run, RunDetail, RunRequest, RunStatus
from flip_runtime.errors import Rejected

LOOK_EVERY = 1.0
"""Seconds between looks at a run that is followed."""
_ENDED = (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.STOPPED)


def add_parser(add: AddParser) -> None:
    runs = add_group(add, "runs", "federated runs")
    start = add_command(runs, "start", start_run, "run a Flower app on the fleet")
    start.add_argument("folder", type=Path, metavar="APP_FOLDER", help="the folder with the app's pyproject.toml")
    start.add_argument("--config", action="append", default=[], metavar="KEY=VALUE", help="override the app's config")
    start.add_argument("--promote", choices=["best", "none"], default="best", help="what devices serve afterwards")
    start.add_argument("--metric", default="accuracy", metavar="NAME", help="what decides which version is best")
    start.add_argument("--follow", action="store_true", help="wait for the end and show each round")
    add_plan(start)
    add_json(add_command(runs, "list", list_runs, "every run, newest first"))
    for name, command, text in (
        ("show", show_run, "a run and its rounds"),
        ("log", show_run_log, "what its ServerApp wrote"),
        ("stop", stop_run, "end a run"),
        ("pause", pause_run, "end a run's ServerApp; devices keep what they have finished"),
        ("resume", resume_run, "go on with a paused run"),
    ):
        add_json(add_command(runs, name, command, text)).add_argument("id", metavar="ID")
    add_run_receipts(runs)


def start_run(options: argparse.Namespace) -> None:
    from flip_hub.federation.fab import build_fab  # imports Flower: a second that no other command should wait

    config, plan = dict(setting(text, "--config num-server-rounds=5") for text in options.config), plan_of(options)
    fab = build_fab(options.folder)
    with the_hub() as hub:
        app = hub.upload_app(fab)
        promote, metric = options.promote, options.metric
        request = RunRequest(fab_hash=app.fab_hash, config=config, promote=promote, metric=metric, plan=plan)
        wanted = hub.check_run(request)
        if wanted.privacy:
            say(f"privacy: {in_words(wanted.privacy)}")
        if wanted.warning:
            say(f"note: {wanted.warning}")
        run = hub.start_run(request)
        say(f"started {run.id}: {run.app}")
        if options.follow:
            _follow(hub, run.id)


def list_runs(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        runs = hub.runs()
    rows = [(run.id, run.app, run.status, _progress(run), when(run.started_at), run.reason) for run in runs]
    show(options, runs, ("ID", "APP", "STATUS", "ROUND", "STARTED", "REASON"), rows)


def show_run(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        detail = hub.run(options.id)
    if not options.json:
        say(_summary(detail.run))
    rows = [
        (r.round, f"{len(r.answered)}/{len(r.sampled)}", r.void or _metrics(r), r.version or "") for r in detail.rounds
    ]
    show(options, detail, ("ROUND", "ANSWERED", "METRICS", "VERSION"), rows)


def show_run_log(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        text = hub.run_log(options.id)
    say(as_json({"id": options.id, "log": text}) if options.json else text.rstrip("\n"))


def stop_run(options: argparse.Namespace) -> None:
    _change(options, HubApi.stop_run)


def pause_run(options: argparse.Namespace) -> None:
    _change(options, HubApi.pause_run)


def resume_run(options: argparse.Namespace) -> None:
    _change(options, HubApi.resume_run)


def _change(options: argparse.Namespace, change: Callable[[HubApi, str], Run]) -> None:
    with the_hub() as hub:
        run = change(hub, options.id)
    say(as_json(run) if options.json else f"{run.id} is {run.status}")


def _follow(hub: HubApi, run_id: str) -> None:
    """A line for each round, and for what the run waits for. Raises `Rejected` when the run does not finish well."""
    shown, reason = 0, ""
    while True:
        detail = hub.run(run_id)
        finished = [r for r in detail.rounds if r.finished_at is not None]
        for done in finished[shown:]:
            say(f"round {done.round}: {len(done.answered)} of {len(done.sampled)} answered, {_metrics(done)}")
            if done.void:
                say(f"  {done.void}")
            for failure in done.failures:
                say(f"  {failure.phase} failed on {failure.device_id or 'a device'}: {failure.reason}")
        shown = len(finished)
        if detail.run.status not in _ENDED and detail.run.reason != reason:
            reason = detail.run.reason
            if reason:
                say(f"{reason} ...")
        if detail.run.status in _ENDED:
            fault = _fault(detail)
            say(_summary(detail.run if fault is None else replace(detail.run, reason="")))  # once is enough
            if fault is not None:
                raise fault
            return
        time.sleep(LOOK_EVERY)


def _fault(detail: RunDetail) -> Rejected | None:
    """Why the run that has ended was for nothing."""
    run, rounds = detail.run, detail.rounds
    if run.status is RunStatus.FAILED:
        return Rejected(f"{run.id} failed: {run.reason}", hint=f"flip-hub runs log {run.id}")
    if rounds and all(r.void for r in rounds):
        return Rejected(f"{run.id} made no version: {run.reason}", hint=f"flip-hub runs show {run.id}")
    if rounds and not any(r.answered for r in rounds):
        return Rejected(f"{run.id}: no device answered in any round", hint=f"flip-hub runs log {run.id}")
    return None


def _summary(run: Run) -> str:
    promoted = "" if run.promoted_version is None else f", version {run.promoted_version} promoted"
    promoted += f", brought by {run.rollout}" if run.rollout else ""
    reason = f": {run.reason}" if run.reason else ""
    warning = f"\nwarning: {run.warning}" if run.warning else ""
    warning += f"\nprivacy: {in_words(run.privacy)}" if run.privacy else ""
    return f"{run.id} ({run.app}) is {run.status}{reason}, round {_progress(run)}{promoted}{warning}"


def _progress(run: Run) -> str:
    return f"{run.round}/{run.rounds}" if run.rounds else str(run.round)


def _metrics(done: Round) -> str:
    values = done.evaluate_metrics or done.train_metrics
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(values.items())) or "no metrics"
