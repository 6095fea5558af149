"""A hub and two devices on machines of their own: runs over a bad network, and power that fails."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from booted.agent import is_up, status
from booted.hub import Hub
from booted.machine import Machine
from booted.network import Network
from booted.packages import Packages
from flip_demo import digits
from flip_demo.inference import BATCH, save_sample

ROOT = Path(__file__).parents[2]
VERSION = "1.0.0"


@pytest.fixture(scope="module")
def hub(network: Network, packages: Packages) -> Iterator[Hub]:
    with Machine("hub", network, 10) as machine:
        agent, torch = packages.built("flip-agent", VERSION), packages.torch()
        yield Hub(machine, packages.repository(agent, torch), packages.built("flip-hub", VERSION), torch)


@pytest.fixture(scope="module")
def devices(
    network: Network, packages: Packages, hub: Hub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Machine]]:
    folder = tmp_path_factory.mktemp("data")
    configs = digits.give_out(folder, 2, seed=0)
    with Machine("north", network, 11) as north, Machine("south", network, 12) as south:
        for machine, config in zip((north, south), configs, strict=True):
            (machine.root / "srv/data.npz").write_bytes(Path(config["data"]).read_bytes())
            machine.sh(hub.install_line(), within=600)
            machine.run("apt-get", "-qq", "-y", "install", "flip-agent-torch", within=600)
            machine.sh("printf '\\n[federation.node_config]\\ndata = \"/srv/data.npz\"\\n' >> /etc/flip/agent.toml")
            machine.run("systemctl", "restart", "flip-agent")
            machine.until(lambda machine=machine: is_up(machine))
        hub.machine.until(lambda: [device["status"] for device in hub.ask("devices", "list")] == ["ok", "ok"])
        yield [north, south]


def test_the_line_that_installs_refuses_another_authority_and_may_be_run_again(
    hub: Hub, devices: list[Machine]
) -> None:
    line = hub.install_line()
    pinned = line.split()[-1]
    other = line.replace(pinned, "0" * 64)
    before = status(devices[0])["device_id"]
    refused = devices[0].run("sh", "-c", other, check=False)
    assert refused.returncode != 0
    assert "do not go on" in refused.stderr
    altered = line.replace("echo '", "echo >> flip-install.sh && echo '")
    assert "sudo" not in devices[0].run("sh", "-c", altered, check=False).stdout
    assert devices[0].run("sh", "-c", altered, check=False).returncode != 0, "a script that was altered is not run"
    assert "enrolled" in devices[0].sh(line, within=300)
    assert status(devices[0])["device_id"] == before


def finished(hub: Hub, run_id: str) -> bool:
    run = hub.run_of(run_id)["run"]
    assert run["status"] not in ("failed", "stopped"), run
    return run["status"] == "finished"


def serving(machine: Machine) -> dict[str, int]:
    """Versions that answer on that device, by model."""
    return {model["model"]: model["version"] for model in status(machine)["reported"].get("serving", [])}


def predicted(machine: Machine, images: Path) -> list[int]:
    """Classes that the device itself answers with."""
    (machine.root / "srv/images.json").write_bytes(images.read_bytes())
    answer = json.loads(machine.out("curl", "-sf", "--json", "@/srv/images.json", "http://127.0.0.1:8082/predict"))
    return [int(label) for label in answer["labels"]]


def test_a_run_over_the_network_ends_with_a_model_that_answers_on_each_device(
    hub: Hub, devices: list[Machine], tmp_path: Path
) -> None:
    app = hub.give(ROOT / "examples" / "digits")
    run_id = hub.start(app, "--config", "num-server-rounds=5")
    hub.machine.until(lambda: finished(hub, run_id), within=300, what="the run's end")
    promoted = hub.run_of(run_id)["run"]["promoted_version"]
    held_back = digits.split(0, 2).held_back
    truth = held_back.y[:BATCH].tolist()
    save_sample(tmp_path / "images.json", held_back.x[:BATCH])
    for machine in devices:
        machine.until(lambda machine=machine: serving(machine) == {"digits": promoted}, within=120)
        right = sum(a == b for a, b in zip(predicted(machine, tmp_path / "images.json"), truth, strict=True))
        assert right / len(truth) > 0.8
        machine.until(lambda machine=machine: machine.shown("flip-train", "ActiveState") == "inactive", within=120)
        assert machine.shown("flip-train", "Result") == "success"


def test_a_power_cut_in_mid_round_loses_nothing_and_no_round_is_done_twice(hub: Hub, devices: list[Machine]) -> None:
    app = hub.give(ROOT / "examples" / "digits")
    run_id = hub.start(app, "--config", "num-server-rounds=3", "--config", "local-epochs=150")
    north = devices[0]
    north.until(lambda: status(north)["reported"]["training"] == "training", within=120)
    north.cut_power()
    north.boot()
    hub.machine.until(lambda: finished(hub, run_id), within=600, what="the run's end")
    rounds = hub.run_of(run_id)["rounds"]
    assert [len(each["answered"]) for each in rounds] == [2, 2, 2], rounds
    assert [each["failures"] for each in rounds] == [[], [], []]
    promoted = hub.run_of(run_id)["run"]["promoted_version"]
    north.until(lambda: serving(north) == {"digits": promoted}, within=120)
