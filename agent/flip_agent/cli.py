"""The command line. Each command imports only what it needs: `run` stays small because it never sees the others."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from flip_agent.settings import Settings
from flip_agent.version import AGENT_VERSION
from flip_runtime.config import load_config
from flip_runtime.errors import ConfigError, FlipError
from flip_runtime.logs import configure_logs
from flip_runtime.owner import become_owner

DEFAULT_CONFIG = Path("/etc/flip/agent.toml")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 78 for configuration, 3 when `status` or `models` finds no daemon, 1 for other errors and what
    is ill."""
    options = command_line().parse_args(arguments)
    try:
        if options.command == "rollback":
            return _rollback()
        if options.command == "install-service":
            return _install_service()
        config = options.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
        if options.command == "doctor":
            return _doctor(options, config)
        settings = load_config(Settings, config)
        if options.command != "enrol":  # which reads what may be root's first
            become_owner(settings.agent.state)
        return _COMMANDS[options.command](options, settings, config)
    except FlipError as error:
        print(f"flip-agent: {error}", file=sys.stderr)
        return error.exit_status if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        return 130


def command_line() -> argparse.ArgumentParser:
    """Also the source of the manual page and of the shell's completion."""
    parser = argparse.ArgumentParser(prog="flip-agent", description="The FLIP agent of this device.")
    parser.add_argument("--version", action="version", version=AGENT_VERSION)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", type=Path, metavar="FILE", help=f"by default {DEFAULT_CONFIG}, if it exists")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", parents=[shared], help="the daemon; starts the others where systemd does not")
    serve = commands.add_parser("serve", parents=[shared], help="the local inference server")
    serve.add_argument("name", nargs="?", default="default", metavar="NAME", help="of inference.instances, if any")
    commands.add_parser("train", parents=[shared], help="take part in runs until there is no more work")
    enrol = commands.add_parser("enrol", parents=[shared], help="join a hub with an enrolment token")
    enrol.add_argument("url", metavar="URL", help="the hub, for example http://hub.example:8000")
    token = enrol.add_mutually_exclusive_group(required=True)
    token.add_argument("--token", metavar="T")
    token.add_argument("--token-file", type=Path, metavar="FILE", help="keeps the token out of the process list")
    enrol.add_argument("--name", help="for people; by default the host name")
    authority = enrol.add_mutually_exclusive_group()
    authority.add_argument("--ca", type=Path, metavar="FILE", help="PEM of the authority that certified an https hub")
    authority.add_argument("--ca-sha256", default="", metavar="HEX", help="its fingerprint; the hub shows the rest")
    enrol.add_argument("--again", action="store_true", help="enrol anew, with the same key")
    status = commands.add_parser("status", parents=[shared], help="what the daemon is doing")
    status.add_argument("--json", action="store_true")
    receipts = commands.add_parser("receipts", parents=[shared], help="what became of this device's contributions")
    receipts.add_argument("--json", action="store_true")
    doctor = commands.add_parser("doctor", parents=[shared], help="look for what is wrong, with or without a daemon")
    doctor.add_argument("--json", action="store_true")
    doctor.add_argument("--fix", action="store_true", help="mend what can be mended")
    _add_models(commands.add_parser("models", parents=[shared], help="what is served, and back to the version before"))
    commands.add_parser("install-service", help="write and enable systemd's units, for an agent that pip has installed")
    commands.add_parser("rollback", help="back to the package version before, without network (Debian package)")
    return parser


def _add_models(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="active, previous, wanted and refused versions of each model")
    rollback = actions.add_parser("rollback", help="have the version before answer, now and without the hub")
    rollback.add_argument("--reason", default="", metavar="TEXT", help="for those who read the hub's console")
    retry = actions.add_parser("retry", help="have what was refused brought again")
    for action, default in ((rollback, "by default the only one"), (retry, "by default all of them")):
        action.add_argument("model", nargs="?", default="", metavar="MODEL", help=default)
    for action in (listing, rollback, retry):
        action.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE")
        action.add_argument("--json", action="store_true")


def _run(_: argparse.Namespace, settings: Settings, config: Path | None) -> int:
    from flip_agent.daemon import run

    _configure_logs(settings)
    run(settings, config)
    return 0


def _serve(options: argparse.Namespace, settings: Settings, config: Path | None) -> int:
    from flip_agent.inference.server import serve

    _configure_logs(settings)
    serve(settings, options.name)
    return 0


def _train(_: argparse.Namespace, settings: Settings, config: Path | None) -> int:
    from flip_agent.federation.session_process import train

    _configure_logs(settings)
    train(settings)
    return 0


def _enrol(options: argparse.Namespace, settings: Settings, config: Path | None) -> int:
    from flip_agent.enrolment import earlier, enrol
    from flip_agent.state_folder import make_state_folder

    token = options.token or _read(options.token_file).strip()
    ca = None if options.ca is None else _authority(options.ca)
    become_owner(settings.agent.state)
    make_state_folder(settings.agent.state)
    replaced = earlier(settings.agent.state)
    identity = enrol(
        *(settings.agent.state, options.url, token),
        name=options.name,
        ca=ca,
        ca_sha256=options.ca_sha256,
        again=options.again,
    )
    print(f"enrolled as {identity.name} ({identity.device_id}) at {identity.hub_url}")
    if replaced:
        print(f"this replaces {replaced}")
    return 0


def _status(options: argparse.Namespace, settings: Settings, config: Path | None) -> int:
    import msgspec

    from flip_agent.status import NOT_RUNNING, NoAnswer, ask_status, render
    from flip_runtime.errors import Unavailable

    try:
        status = ask_status(settings.agent.run_socket)
    except Unavailable as error:
        if options.json:
            print(msgspec.json.encode(NoAnswer(error=error.args[0], hint=error.hint)).decode())
        else:
            print(f"flip-agent: {error}", file=sys.stderr)
        return NOT_RUNNING
    print(msgspec.json.encode(status).decode() if options.json else render(status))
    return 0


def _receipts(options: argparse.Namespace, settings: Settings, config: Path | None) -> int:
    import msgspec

    from flip_agent.local.ask import ask
    from flip_agent.local.messages import Receipts, ReceiptsRequest
    from flip_agent.receipts import render
    from flip_agent.status import NOT_RUNNING
    from flip_runtime.errors import Unavailable

    try:
        receipts = ask(settings.agent.run_socket, ReceiptsRequest(), Receipts).receipts
    except Unavailable as error:
        print(f"flip-agent: {error}", file=sys.stderr)
        return NOT_RUNNING
    print(msgspec.json.encode(receipts).decode() if options.json else render(receipts))
    return 0


def _models(options: argparse.Namespace, settings: Settings, config: Path | None) -> int:
    import msgspec

    from flip_agent.models.command import (
        ask_models,
        ask_retry,
        ask_rollback,
        render_models,
        render_retry,
        render_rollback,
    )
    from flip_agent.status import NOT_RUNNING
    from flip_runtime.errors import Unavailable

    socket = settings.agent.run_socket
    try:
        match options.action:
            case "rollback":
                answer = ask_rollback(socket, options.model, options.reason)
                text = render_rollback(answer)
            case "retry":
                answer = ask_retry(socket, options.model)
                text = render_retry(answer)
            case _:
                answer = ask_models(socket)
                text = render_models(answer)
    except Unavailable as error:
        print(f"flip-agent: {error}", file=sys.stderr)
        return NOT_RUNNING
    print(msgspec.json.encode(answer).decode() if options.json else text)
    return 0


def _doctor(options: argparse.Namespace, config: Path | None) -> int:
    """Also where the configuration itself is what is wrong."""
    import msgspec

    from flip_agent.desired_state import load_desired
    from flip_agent.doctor import examine, render
    from flip_agent.looks import Verdict
    from flip_wire.health import Severity

    try:
        settings = load_config(Settings, config)
    except ConfigError as error:
        verdicts = [Verdict(subject="configuration", state=Severity.CRITICAL, text=str(error))]
    else:
        become_owner(settings.agent.state)
        configuration = Verdict(subject="configuration", state="ok", text=str(config or "the defaults"))
        verdicts = [configuration, *examine(settings, load_desired, fix=options.fix, say=_say)]
    print(msgspec.json.encode(verdicts).decode() if options.json else render(verdicts))
    return 0 if all(verdict.good for verdict in verdicts) else 1


def _install_service() -> int:
    from flip_agent.service_install import install_service

    install_service(print)
    return 0


def _rollback() -> int:
    """The package's launcher does it, before any Python of a version that may be broken."""
    raise ConfigError("this flip-agent is not of the Debian package", hint="pip install flip-edge==VERSION goes back")


_COMMANDS = {
    "run": _run,
    "serve": _serve,
    "train": _train,
    "enrol": _enrol,
    "status": _status,
    "receipts": _receipts,
    "models": _models,
}


def _configure_logs(settings: Settings) -> None:
    configure_logs(json=settings.logs.json, level=settings.logs.level)


def _say(text: str) -> None:
    """To people who wait, and to no program."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr)


def _authority(path: Path) -> str:
    from flip_agent.hub.tls import trusting

    ca = _read(path)
    trusting(ca, named=str(path), hint="name the certificate of the hub's authority with --ca")
    return ca


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="check its name, owner and mode") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no text", hint="is it another file that is meant?") from error
