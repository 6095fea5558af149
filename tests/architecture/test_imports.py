"""Who may import whom (docs/ARCHITECTURE.md), read from the source, not from what happens to be loaded."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "flip_wire": ROOT / "common",
    "flip_runtime": ROOT / "common",
    "flip_update": ROOT / "common",
    "flip_agent": ROOT / "agent",
    "flip_hub": ROOT / "hub",
    "flip_lab": ROOT / "lab",
    "flip_demo": ROOT / "demo",
}
WHOLE = {"flip_lab", "flip_demo", "bench"}
"""That put agents and a hub together."""
FLIP = {*PACKAGES, *WHOLE}

COMPOSITION_ROOTS = {"flip_agent.daemon", "flip_agent.cli", "flip_agent.__main__"}


class Import(NamedTuple):
    by: str
    of: str

    @property
    def package(self) -> str:
        return self.of.split(".")[0]


def imports_of(package: str) -> Iterator[Import]:
    for path in sorted((PACKAGES[package] / package).rglob("*.py")):
        by = ".".join(path.relative_to(PACKAGES[package]).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (Import(by, name.name) for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{by} imports relatively; say the whole name"
                assert node.module
                yield Import(by, node.module)


def offenders(package: str, forbidden: set[str], allowed_in: tuple[str, ...] = ()) -> list[Import]:
    return [i for i in imports_of(package) if i.package in forbidden and not i.by.startswith(allowed_in or ("\0",))]


def test_the_wire_imports_no_part_of_flip() -> None:
    assert offenders("flip_wire", FLIP - {"flip_wire"}) == []


def test_the_runtime_imports_no_part_of_flip() -> None:
    assert offenders("flip_runtime", FLIP - {"flip_runtime"}) == []


def test_the_arithmetic_of_updates_imports_the_wire_and_the_runtime_alone() -> None:
    assert offenders("flip_update", FLIP - {"flip_wire", "flip_runtime", "flip_update"}) == []


def test_agent_and_hub_never_import_each_other_nor_what_puts_them_together() -> None:
    assert offenders("flip_agent", {"flip_hub", *WHOLE}) == []
    assert offenders("flip_hub", {"flip_agent", *WHOLE}) == []


def test_the_demo_knows_no_lab() -> None:
    assert offenders("flip_demo", {"flip_lab", "bench"}) == offenders("flip_lab", {"bench"}) == []


def test_torch_is_imported_only_where_models_are_trained_or_exported() -> None:
    assert offenders("flip_agent", {"torch"}, ("flip_agent.federation.task",)) == []
    assert (
        offenders("flip_hub", {"torch"}, ("flip_hub.federation.aggregator.export", "flip_hub.federation.server_app"))
        == []
    )


def test_onnxruntime_is_imported_only_by_the_predictor_and_the_exporter() -> None:
    assert offenders("flip_agent", {"onnxruntime"}, ("flip_agent.inference.engine.predictor",)) == []
    own_processes = ("flip_hub.federation.aggregator.export", "flip_hub.models.inspected_files")
    assert offenders("flip_hub", {"onnxruntime", "onnx"}, own_processes) == []


def test_flower_is_imported_only_by_the_two_federation_folders() -> None:
    assert offenders("flip_agent", {"flwr"}, ("flip_agent.federation.",)) == []
    assert offenders("flip_hub", {"flwr"}, ("flip_hub.federation.",)) == []
    assert (
        offenders("flip_wire", {"flwr"})
        == offenders("flip_runtime", {"flwr"})
        == offenders("flip_update", {"flwr"})
        == []
    )


def test_the_mongodb_driver_is_imported_only_by_stores() -> None:
    drivers = {"motor", "pymongo", "bson"}
    inside = [i for i in imports_of("flip_hub") if i.package in drivers]
    makers = ("flip_hub.mongo", "flip_hub.registry.")
    assert [i for i in inside if not i.by.endswith(".store") and not i.by.startswith(makers)] == []
    assert offenders("flip_agent", drivers) == []


def test_only_the_composition_root_of_the_agent_imports_its_services() -> None:
    services = {
        *("uplink", "desired_state", "models.rollout", "health.health", "local.server", "children", "governor"),
    }
    wrong = [
        i
        for i in imports_of("flip_agent")
        if i.of.removeprefix("flip_agent.") in services and i.by not in COMPOSITION_ROOTS
    ]
    assert wrong == []


def test_nobody_waits_in_a_way_that_can_swallow_a_cancellation() -> None:
    """`asyncio.wait_for` of Python 3.11 returns the result, and forgets the cancellation, when both come at once."""
    users = [
        path
        for package, folder in PACKAGES.items()
        for path in sorted((folder / package).rglob("*.py"))
        if "asyncio.wait_for(" in path.read_text()
    ]
    assert users == [], "use `async with asyncio.timeout(...)`"
