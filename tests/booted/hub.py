"""What a test does with the flip-hub of a machine."""

import json
import shutil
from pathlib import Path
from typing import Any

from booted.agent import install
from booted.machine import Machine
from booted.mongod import install_mongod

_CONFIG = """
[hub]
host = "0.0.0.0"
names = ["{address}", "localhost", "127.0.0.1"]

[fleet]
host = "0.0.0.0"
address = "{address}:9092"
names = ["{address}", "localhost"]

[apps]
hub_signs = true

[updates]
repository = "/srv/packages"
"""


class Hub:
    def __init__(self, machine: Machine, repository: Path, *packages: Path) -> None:
        """Installs the packages on that machine, for a network that all others are in; hands the repository out."""
        self.machine = machine
        self.url = f"https://{machine.address}:8000"
        install_mongod(machine)
        self.hand_out(repository)
        (machine.root / "etc/flip").mkdir(exist_ok=True)
        (machine.root / "etc/flip/hub.toml").write_text(_CONFIG.format(address=machine.address))
        install(machine, *packages)
        machine.until(self.ready, within=180, what="the hub's readiness")

    def ready(self) -> bool:
        return self.machine.succeeds("curl", "-skf", "-m", "5", "-o", "/dev/null", f"{self.url}/health/ready")

    def ask(self, *command: str, within: float = 300.0) -> Any:
        """What `flip-hub ... --json` says."""
        return json.loads(self.machine.out("flip-hub", *command, "--json", within=within))

    def hand_out(self, repository: Path) -> None:
        shutil.copytree(repository, self.machine.root / "srv/packages", dirs_exist_ok=True)

    def install_line(self, uses: int = 1) -> str:
        """The one line that the hub shows for a device without flip-agent."""
        shown = self.machine.out("flip-hub", "enrolment-tokens", "create", "--uses", str(uses))
        (line,) = [line for line in shown.splitlines() if "/install.sh" in line]
        return line.strip()

    def give(self, folder: Path) -> str:
        """Copies an app to the machine, and says where it is."""
        target = self.machine.root / "srv" / folder.name
        shutil.copytree(folder, target, dirs_exist_ok=True)
        return f"/srv/{folder.name}"

    def start(self, app: str, *options: str) -> str:
        """A run; says its id."""
        before = {run["id"] for run in self.ask("runs", "list")}
        self.machine.run("flip-hub", "runs", "start", app, *options)
        (new,) = {run["id"] for run in self.ask("runs", "list")} - before
        return str(new)

    def run_of(self, run_id: str) -> Any:
        return self.ask("runs", "show", run_id)
