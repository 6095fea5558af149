"""A hub and two devices on machines of their own: runs over a bad network, and power that fails."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from booted.agent import install, is_up
from booted.hub import Hub
from booted.machine import Machine
from booted.network import Network
from booted.packages import Packages
from flip_demo import digits

ROOT = Path(__file__).parents[2]
VERSION = "1.0.0"


@pytest.fixture(scope="module")
def hub(network: Network, packages: Packages) -> Iterator[Hub]:
    with Machine("hub", network, 10) as machine:
        yield Hub(machine, packages.built("flip-hub", VERSION), packages.torch())


@pytest.fixture(scope="module")
def devices(
    network: Network, packages: Packages, hub: Hub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Machine]]:
    folder = tmp_path_factory.mktemp("data")
    configs = digits.give_out(folder, 2, seed=0)
    with Machine("north", network, 11) as north, Machine("south", network, 12) as south:
        for machine, config in zip((north, south), configs, strict=True):
            (machine.root / "srv/data.npz").write_bytes(Path(config["data"]).read_bytes())
            install(machine, packages.built("flip-agent", VERSION), packages.torch())
            machine.sh("printf '\\n[federation.node_config]\\ndata = \"/srv/data.npz\"\\n' >> /etc/flip/agent.toml")
            machine.run("systemctl", "restart", "flip-agent")
            machine.until(lambda machine=machine: is_up(machine))
            machine.run(*hub.enrolment())
        hub.machine.until(lambda: [device["status"] for device in hub.ask("devices", "list")] == ["ok", "ok"])
        yield [north, south]


def finished(hub: Hub, run_id: str) -> bool:
    run = hub.run_of(run_id)
    assert run["run"]["status"] not in ("failed", "stopped"), run
    return run["run"]["status"] == "finished"


def served(machine: Machine) -> int:
    """The version of the model that answers on that device; 0: none."""
    models = json.loads(machine.out("flip-agent", "status", "--json"))["reported"].get("serving", [])
    return max((model["version"] for model in models), default=0)


def test_a_run_over_the_network_ends_with_a_model_that_answers_on_each_device(hub: Hub, devices: list[Machine]) -> None:
    app = hub.give(ROOT / "examples" / "digits")
    run_id = hub.start(app, "--config", "num-server-rounds=3", "--config", "local-epochs=2")
    hub.machine.until(lambda: finished(hub, run_id), within=300, what="the run's end")
    for machine in devices:
        machine.until(lambda machine=machine: served(machine) > 0, within=120, what="a served version")
        assert machine.shown("flip-train", "Result") == "success"
        body = json.dumps({"inputs": [[0.0] * 64]})
        answer = machine.run("curl", "-s", "-d", body, "http://127.0.0.1:8082/v2/models/digits/predict", check=False)
        print(answer.stdout[:300])
    assert hub.run_of(run_id)["rounds"], "its rounds are kept"
