"""The wheel in a clean environment: an agent without the hub's dependencies, made a service by itself."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from booted.agent import serves
from booted.machine import Machine
from booted.network import Network

ROOT = Path(__file__).parents[2]
OF_THE_HUB = {
    "motor",
    "pymongo",
    "redis",
    "argon2-cffi",
    "obstore",
    "opentelemetry-sdk",
    "onnx",
    "dp-accounting",
    "torch",
}


@pytest.fixture(scope="module")
def machine(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """With the environment in /opt/flip, made here: the machine reaches no package index."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with Machine("pip", network, 13) as machine:
        machine.run("python3", "-m", "venv", "--without-pip", "/opt/flip")
        site = machine.root / "opt/flip/lib/python3.11/site-packages"
        options = (
            "--quiet",
            "--target",
            site,
            "--python-version",
            "3.11",
            "--python-platform",
            "x86_64-manylinux_2_36",
        )
        wanted = (
            "--only-binary",
            ":all:",
            "--constraint",
            ROOT / "constraints.txt",
            f"flip-edge[agent] @ {wheel.as_uri()}",
        )
        subprocess.run([uv, "pip", "install", *options, *wanted], check=True, capture_output=True)
        yield machine


def test_it_brings_no_dependency_of_the_hub(machine: Machine) -> None:
    site = machine.root / "opt/flip/lib/python3.11/site-packages"
    names = {path.name.split("-")[0].replace("_", "-").lower() for path in site.glob("*.dist-info")}
    assert "flwr" in names
    assert not names & OF_THE_HUB


def test_it_becomes_a_service_that_is_back_after_a_kill_and_a_boot(machine: Machine) -> None:
    said = machine.out("/opt/flip/bin/python3", "-m", "flip_agent", "install-service")
    assert "enabled and started flip-agent.service" in said
    machine.until(lambda: serves(machine))
    assert machine.sh("stat -c %U /proc/$(systemctl show --value -p MainPID flip-agent)") == "flip"
    assert machine.run("systemd-analyze", "verify", "flip-agent.service", "flip-safemode.service").stderr == ""
    machine.run("systemctl", "kill", "-s", "KILL", "flip-agent")
    machine.until(lambda: machine.shown("flip-agent", "NRestarts") == "1")
    machine.cut_power()
    machine.boot()
    machine.until(lambda: serves(machine))
    again = machine.out("/opt/flip/bin/python3", "-m", "flip_agent", "install-service")
    assert "made /etc/flip" not in again, "a configuration that is there stays"


def test_an_environment_that_the_services_could_not_see_is_refused(machine: Machine) -> None:
    machine.sh("cp -a /opt/flip /root/flip")
    refused = machine.run("/root/flip/bin/python3", "-m", "flip_agent", "install-service", check=False)
    assert refused.returncode == 78
    assert "would not see /root/flip" in refused.stderr


def test_who_has_no_right_to_is_told_the_way(machine: Machine) -> None:
    refused = machine.run(
        "runuser", "-u", "nobody", "--", "/opt/flip/bin/python3", "-m", "flip_agent", "install-service", check=False
    )
    assert refused.returncode == 78
    assert "sudo" in refused.stderr
