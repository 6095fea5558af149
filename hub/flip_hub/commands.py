"""What the command line does through a hub's API, with the session that `flip-hub login` keeps."""

import argparse
import getpass
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from flip_hub.client import HubApi
from flip_hub.federation.schemas import Round, Run, RunRequest, RunStatus, Value
from flip_hub.session_file import SavedSession, load_session, save_session
from flip_runtime.atomic import write_file
from flip_runtime.errors import ConfigError, Rejected
from flip_wire.fleet import EnrolRequest, ReportedState

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LOOK_EVERY = 1.0
"""Seconds between looks at a run that is followed."""
_ENDED = (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.STOPPED)


def login(options: argparse.Namespace) -> None:
    with HubApi(options.url) as hub:
        session = hub.login(options.username, _password(options.password_file))
        saved = SavedSession(url=hub.url, username=session.username, token=session.token, expires_at=session.expires_at)
    path = save_session(saved)
    _say(f"logged in as {saved.username} until {_when(saved.expires_at)}, session in {path}")


def list_devices(options: argparse.Namespace) -> None:
    with _hub() as hub:
        devices = hub.devices()
    rows = [
        (device.id, device.name, device.status, _when(device.last_seen), serving_text(device.reported))
        for device in devices
    ]
    _show(options, devices, ("ID", "NAME", "STATUS", "LAST SEEN", "SERVES"), rows)


def revoke_device(options: argparse.Namespace) -> None:
    with _hub() as hub:
        device = hub.revoke(options.id)
    _say(f"{device.name} is revoked")


def add_device(options: argparse.Namespace) -> None:
    """Enrols a key in a device's place, and says how Flower's own SuperNode joins with it."""
    from flip_hub.devices.keys import public_pem

    key = public_pem(_content(options.public_key))
    with _hub() as hub:
        token = hub.create_enrolment_token(600.0).token
        request = EnrolRequest(token=token, name=options.name, public_key=key, agent_version="flower-supernode")
        enrolled = hub.enrol(request)
    ca, trusted = options.folder / "ca.pem", options.folder / "trusted-entities.yaml"
    _write(ca, enrolled.ca.encode())
    command = f"flower-supernode --superlink {enrolled.fleet_address} --root-certificates {ca}"
    if enrolled.app_keys:  # all JSON is YAML
        _write(trusted, msgspec.json.format(msgspec.json.encode(enrolled.app_keys)))
        command += f" --trusted-entities {trusted}"
    _say(f"{options.name} is enrolled as {enrolled.device_id}; on it, with the private key in OpenSSH's format:")
    _say(f"  {command} --auth-supernode-private-key FILE")


def create_enrolment_token(options: argparse.Namespace) -> None:
    with _hub() as hub:
        token = hub.create_enrolment_token(options.lifetime)
        _show(options, token, (), [])
        if not options.json:
            _say(f"{token.token}\ngood until {_when(token.expires_at)}, for one device:")
            _say(f"  flip-agent enrol {hub.url} --token {token.token}")


def sign_app(options: argparse.Namespace) -> None:
    from flip_hub.apps.signatures import sign_app as signature_of
    from flip_hub.federation.fab import build_fab  # imports Flower: a second that no other command should wait

    key = _private_key(options.key)
    fab = build_fab(options.app) if options.app.is_dir() else _content(options.app)
    with _hub() as hub:
        app = hub.upload_app(fab)
        signature = signature_of(key, app.fab_hash, time.time())
        app = hub.sign_app(app.fab_hash, signature)
    _say(f"{app.name} {app.version} is signed by {signature.key}")


def list_apps(options: argparse.Namespace) -> None:
    with _hub() as hub:
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
    _show(options, apps, ("HASH", "NAME", "VERSION", "SIGNED BY"), rows)


def add_app_key(options: argparse.Namespace) -> None:
    line = _content(options.public_key).decode(errors="replace").strip()
    with _hub() as hub:
        key = hub.add_app_key(line, options.name or options.public_key.stem)
    _say(f"devices that enrol from now on run what {key.name} ({key.id}) has signed; others once they enrol again")


def list_app_keys(options: argparse.Namespace) -> None:
    with _hub() as hub:
        keys = hub.app_keys()
    rows = [(key.id, key.name, key.added_by, _when(key.added_at) if key.added_at else "") for key in keys]
    _show(options, keys, ("ID", "NAME", "ADDED BY", "ADDED"), rows)


def remove_app_key(options: argparse.Namespace) -> None:
    with _hub() as hub:
        key = hub.remove_app_key(options.id)
    _say(f"{key.name} ({key.id}) is not trusted any more; devices forget the key when they enrol again")


def start_run(options: argparse.Namespace) -> None:
    from flip_hub.federation.fab import build_fab  # imports Flower: a second that no other command should wait

    config = dict(_setting(text) for text in options.config)
    fab = build_fab(options.folder)
    with _hub() as hub:
        app = hub.upload_app(fab)
        request = RunRequest(fab_hash=app.fab_hash, config=config, promote=options.promote, metric=options.metric)
        run = hub.start_run(request)
        _say(f"started {run.id}: {run.app}")
        if run.warning:
            _say(f"note: {run.warning}")
        if options.follow:
            _follow(hub, run.id)


def list_runs(options: argparse.Namespace) -> None:
    with _hub() as hub:
        runs = hub.runs()
    rows = [(run.id, run.app, run.status, _progress(run), _when(run.started_at), run.reason) for run in runs]
    _show(options, runs, ("ID", "APP", "STATUS", "ROUND", "STARTED", "REASON"), rows)


def show_run(options: argparse.Namespace) -> None:
    with _hub() as hub:
        detail = hub.run(options.id)
    if not options.json:
        _say(_summary(detail.run))
    rows = [(r.round, f"{len(r.answered)}/{len(r.sampled)}", _metrics(r), r.version or "") for r in detail.rounds]
    _show(options, detail, ("ROUND", "ANSWERED", "METRICS", "VERSION"), rows)


def show_run_log(options: argparse.Namespace) -> None:
    with _hub() as hub:
        text = hub.run_log(options.id)
    _say(_json({"id": options.id, "log": text}) if options.json else text.rstrip("\n"))


def stop_run(options: argparse.Namespace) -> None:
    with _hub() as hub:
        run = hub.stop_run(options.id)
    _say(_json(run) if options.json else f"{run.id} is {run.status}")


def list_models(options: argparse.Namespace) -> None:
    with _hub() as hub:
        models = hub.models()
    rows = [(m.name, m.versions, m.latest, m.promoted or "", _when(m.updated_at)) for m in models]
    _show(options, models, ("NAME", "VERSIONS", "LATEST", "PROMOTED", "CHANGED"), rows)


def promote_version(options: argparse.Namespace) -> None:
    with _hub() as hub:
        version = hub.promote(options.name, options.version)
    _say(f"devices shall serve version {version.version} of {version.model}")


def _hub() -> HubApi:
    session = load_session()
    return HubApi(session.url, session.token)


def _password(path: Path | None) -> str:
    return getpass.getpass("Password: ") if path is None else _content(path).decode().strip()


def _private_key(path: Path) -> "Ed25519PrivateKey":
    from flip_hub.apps.signatures import LockedKey, load_private_key

    content = _content(path)
    try:
        return load_private_key(content)
    except LockedKey:
        return load_private_key(content, getpass.getpass(f"Passphrase of {path}: ").encode())


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, content, mode=0o644)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", hint="name another --folder") from error


def _setting(text: str) -> tuple[str, Value]:
    """`key=value`, where the value reads as in TOML, or else is text."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise Rejected(f"{text!r} is no KEY=VALUE", hint="for example --config num-server-rounds=5")
    try:
        return key, msgspec.json.decode(value, type=Value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return key, value


def _follow(hub: HubApi, run_id: str) -> None:
    """A line for each round. Raises `Rejected` when the run does not finish well."""
    shown = 0
    while True:
        detail = hub.run(run_id)
        finished = [r for r in detail.rounds if r.finished_at is not None]
        for done in finished[shown:]:
            _say(f"round {done.round}: {len(done.answered)} of {len(done.sampled)} answered, {_metrics(done)}")
            for failure in done.failures:
                _say(f"  {failure.phase} failed on {failure.device_id or 'a device'}: {failure.reason}")
        shown = len(finished)
        if detail.run.status in _ENDED:
            _say(_summary(detail.run))
            if detail.run.status is RunStatus.FAILED:
                raise Rejected(f"{run_id} failed: {detail.run.reason}", hint=f"flip-hub runs log {run_id}")
            if detail.rounds and not any(r.answered for r in detail.rounds):
                raise Rejected(f"{run_id}: no device answered in any round", hint=f"flip-hub runs log {run_id}")
            return
        time.sleep(LOOK_EVERY)


def _summary(run: Run) -> str:
    promoted = "" if run.promoted_version is None else f", version {run.promoted_version} promoted"
    reason = f": {run.reason}" if run.reason else ""
    warning = f"\nwarning: {run.warning}" if run.warning else ""
    return f"{run.id} ({run.app}) is {run.status}{reason}, round {_progress(run)}{promoted}{warning}"


def _progress(run: Run) -> str:
    return f"{run.round}/{run.rounds}" if run.rounds else str(run.round)


def _metrics(done: Round) -> str:
    values = done.evaluate_metrics or done.train_metrics
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(values.items())) or "no metrics"


def serving_text(reported: ReportedState | None) -> str:
    if reported is None:
        return ""
    serving = [f"{each.model} {each.version}" for each in reported.serving]
    refused = [f"not {each.model} {each.version}: {each.reason}" for each in reported.failures]
    return ", ".join([*serving, *refused])


def _when(at: float | None) -> str:
    return "never" if at is None else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


def _show(options: argparse.Namespace, values: Any, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    if options.json:
        _say(_json(values))
    elif heads:
        lines = [tuple(heads), *(tuple(str(cell) for cell in row) for row in rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
        for line in lines:
            _say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
