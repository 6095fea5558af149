"""What a test does with the flip-agent of a machine."""

import json
from pathlib import Path
from typing import Any

from booted.machine import Machine


def install(machine: Machine, *packages: Path) -> None:
    """With apt, from files; keeps an edited configuration."""
    for package in packages:
        target = machine.root / "srv" / package.name
        target.write_bytes(package.read_bytes())
    options = ("-qq", "-y", "--allow-downgrades", "-oDpkg::Options::=--force-confold")
    machine.run("apt-get", *options, "install", *(f"/srv/{package.name}" for package in packages))


def version_of(machine: Machine) -> str:
    """That runs, by the link."""
    return machine.out("readlink", "/opt/flip-agent/current").removeprefix("slots/")


def status(machine: Machine) -> dict[str, Any]:
    return json.loads(machine.out("flip-agent", "status", "--json"))


def is_up(machine: Machine) -> bool:
    return machine.succeeds("flip-agent", "status", "--json")


def serves(machine: Machine) -> bool:
    return machine.succeeds("curl", "-sf", "-m", "5", "http://127.0.0.1:8082/v2/health/live")
