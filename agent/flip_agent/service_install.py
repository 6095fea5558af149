"""`flip-agent install-service`: the units of the Debian package for an agent that pip has installed.

Everything that it writes is named; running it again brings changed units. Updates and rollback are pip's then.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from flip_runtime.atomic import write_file
from flip_runtime.errors import ConfigError, Unavailable

_UNITS = Path("/etc/systemd/system")
_CONFIG = Path("/etc/flip/agent.toml")
_TMPFILES = Path("/etc/tmpfiles.d/flip-agent.conf")
_PACKAGED = Path("/opt/flip-agent/current")
_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  which the units do not let their services see
_INSTALLED = (
    *("flip.slice", "flip-core.slice", "flip-infer.slice", "flip-train.slice"),
    *("flip-agent.service", "flip-safemode.service", "flip-train.path", "flip-train.service"),
    *("flip-inference@.socket", "flip-inference@.service"),
)
_ENABLED = (
    *("flip-agent.service", "flip-train.path", "flip-inference@default.socket", "flip-inference@default.service"),
)
_SETTINGS = """[agent]
supervise = false      # systemd starts serving and training
runtime = "/run/flip"  # sockets
"""
_AFTER_A_WHILE = "sleep 900; systemctl reset-failed flip-agent.service; systemctl --no-block start flip-agent.service"


def install_service(say: Callable[[str], None]) -> None:
    """Raises `ConfigError` where it cannot be, `Unavailable` when a program of the system fails."""
    _check()
    _run(["systemd-sysusers", "-"], given='u flip - "FLIP agent" /var/lib/flip -\n')
    write_file(_TMPFILES, b"d /run/flip 0750 flip flip -\nd /var/lib/flip 0700 flip flip -\n", mode=0o644)
    _run(["systemd-tmpfiles", "--create", str(_TMPFILES)])
    if not _CONFIG.exists():
        _CONFIG.parent.mkdir(exist_ok=True)
        write_file(_CONFIG, _SETTINGS.encode(), mode=0o644)
        say(f"made {_CONFIG}")
    for name in _INSTALLED:
        write_file(_UNITS / name, _adapted((_templates() / name).read_text()).encode(), mode=0o644)
    say(f"wrote {len(_INSTALLED)} units to {_UNITS}")
    _run(["systemctl", "daemon-reload"])
    _run(["systemctl", "enable", "--quiet", *_ENABLED])
    _run(["systemctl", "restart", *_ENABLED])
    say(f"enabled and started {', '.join(_ENABLED)}")


def _check() -> None:
    if os.geteuid() != 0:
        raise ConfigError("units are installed by root", hint=f"sudo {sys.executable} -m flip_agent install-service")
    if _PACKAGED.exists():
        raise ConfigError("the Debian package flip-agent is installed, which has units", hint="apt remove flip-agent")
    if not Path("/run/systemd/system").is_dir() or shutil.which("systemd-sysusers") is None:
        raise ConfigError("systemd does not run here", hint="flip-agent run starts everything by itself")
    inside = next((folder for folder in _HIDDEN if Path(sys.prefix).is_relative_to(folder)), None)
    if inside is not None:
        raise ConfigError(
            f"the services would not see {sys.prefix}: nothing below {inside} is theirs to see",
            hint="install into another folder: python3 -m venv /opt/flip",
        )


def _templates() -> Path:
    """In the wheel, or beside the sources."""
    inside = Path(__file__).parent / "systemd"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "systemd"


def _adapted(unit: str) -> str:
    """To this installation: there is no manual page, and no part of root's."""
    program = f"{sys.executable} -I -m flip_agent"
    lines = [line for line in unit.splitlines() if not line.startswith("Documentation=man:")]
    text = "\n".join(lines) + "\n"
    text = text.replace("ExecStart=/usr/bin/flip-agent", f"ExecStart={program}")
    return text.replace("ExecStart=/usr/lib/flip-agent/safemode", f"ExecStart=/bin/sh -c '{_AFTER_A_WHILE}'")


def _run(command: Sequence[str], given: str | None = None) -> None:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command)} failed: {done.stderr.strip() or done.returncode}")
