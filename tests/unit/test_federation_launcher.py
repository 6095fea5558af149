"""The launcher stands on a few names inside Flower; these fail when Flower changes them."""

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from flwr.server.run_serverapp import run

from flip_hub.federation import node_auth
from flip_hub.federation.aggregator import launcher


@pytest.fixture
def runtime() -> Iterator[Any]:
    module: Any = importlib.import_module("flwr.superlink.runtime.run_serverapp")
    grid: Any = importlib.import_module("flwr.superlink.grid.http_grid")
    originals = module.run_, grid.push_objects
    yield module
    module.run_, grid.push_objects = originals


def test_flower_runs_the_app_through_the_name_that_the_launcher_replaces(runtime: Any) -> None:
    assert runtime.run_ is run
    parameters = inspect.signature(run).parameters
    assert {"grid", "context", "server_app_dir", "server_app_attr"} <= set(parameters)
    launcher.install()
    assert runtime.run_ is not run
    assert "run_" in runtime.run_serverapp.__code__.co_names


@pytest.mark.usefixtures("runtime")
def test_flower_sends_objects_through_the_name_that_the_launcher_replaces() -> None:
    grid: Any = importlib.import_module("flwr.superlink.grid.http_grid")
    launcher.install()
    assert "push_objects" in grid.HttpGrid._try_push_messages.__code__.co_names
    assert "aggregator" in grid.push_objects.__module__


def test_a_changed_flower_is_refused_with_the_reason(runtime: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_serverapp() -> None: ...

    monkeypatch.setattr(runtime, "run_serverapp", run_serverapp)
    with pytest.raises(ImportError, match=r"expects flwr 1\.41"):
        launcher.install()


def test_in_a_lab_a_strategy_that_waits_for_devices_waits_by_the_labs_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    utils: Any = importlib.import_module("flwr.serverapp.strategy.strategy_utils")
    monkeypatch.setattr(utils, "sleep", utils.sleep)  # is put back
    slept: list[float] = []
    online: list[int] = []

    class LabClock:
        def now(self) -> float:
            return float(len(slept))

        def sleep(self, seconds: float, left: float | None = None) -> None:
            slept.append(seconds)
            online.append(len(slept))

    class Nodes:
        def get_node_ids(self) -> list[int]:
            return online

    launcher.sleep_by(LabClock())
    chosen, known = utils.sample_nodes(Nodes(), 3, 2)
    assert (len(chosen), len(known), slept) == (2, 3, [1, 1, 1])
    monkeypatch.setattr(utils, "sample_nodes", lambda: None)
    with pytest.raises(ImportError, match=r"expects flwr 1\.41"):
        launcher.sleep_by(LabClock())


def test_superexec_starts_the_serverapp_by_the_name_that_we_put_on_path() -> None:
    constant: Any = importlib.import_module("flwr.supercore.constant")
    assert constant.TASK_TYPE_TO_COMMAND[constant.TaskType.SERVER_APP] == "flwr-serverapp"
    superlink: Any = importlib.import_module("flwr.superlink.cli.flower_superlink")
    command = superlink._get_superexec_command("127.0.0.1:1", None, None, 1, False)
    assert command[0] == "flower-superexec"


def test_what_the_gateway_checks_is_what_flowers_supernode_sends() -> None:
    common: Any = importlib.import_module("flwr.common.constant")
    supercore: Any = importlib.import_module("flwr.supercore.constant")
    assert node_auth.KEY_HEADER.decode() == supercore.FLEET_HTTP_PUBLIC_KEY_HEADER
    assert node_auth.SIGNATURE_HEADER.decode() == supercore.FLEET_HTTP_SIGNATURE_HEADER
    assert node_auth.TIME_HEADER.decode() == common.TIMESTAMP_HEADER
    assert node_auth.OLDEST == common.TIMESTAMP_TOLERANCE + common.SYSTEM_TIME_TOLERANCE
    assert node_auth.FROM_THE_FUTURE == common.SYSTEM_TIME_TOLERANCE
