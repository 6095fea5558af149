"""What each check finds wrong with a device, and how it mends it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from flip_agent.health.checks import disk
from flip_agent.health.checks.data_folder import data_folder
from flip_agent.health.checks.disk import disk_space, inodes
from flip_agent.health.checks.hub import clock, hub, skew
from flip_agent.health.checks.machine import memory, temperature
from flip_agent.health.checks.models import freshness, inference, parts, rollout
from flip_agent.health.hardware import Hardware
from flip_agent.hub.link import HubLink
from flip_agent.models.store import ModelStore
from flip_wire.fleet import DesiredState, ReportedState, RolloutFailure, ServingModel
from flip_wire.models import LocalParts, ModelAssignment, Sha256

WANTED = ModelAssignment(model="digits", version=3, manifest=Sha256("0" * 64), size=1)


def nothing() -> int:
    return 0


def reports(**changes: object) -> Callable[[], ReportedState]:
    state = ReportedState(generation=1, agent_version="1", training="idle", **changes)  # pyright: ignore[reportArgumentType]
    return lambda: state


def serves(version: int, since: float = 0.0) -> ServingModel:
    return ServingModel(model="digits", version=version, since=since, url="http://127.0.0.1:8082")


def test_a_disk_with_room_is_well(folder: Path) -> None:
    assert disk_space(folder, nothing).look() == ""
    assert inodes(folder, nothing).look() == ""


def test_a_full_disk_is_told_and_what_nobody_needs_goes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "RESERVE", 2**62)
    (folder / "logs").mkdir()
    for name in ("logs/serve.log", "logs/serve.log.1", "outbox.db", "outbox.db.damaged-1", "outbox.db.damaged-1-wal"):
        (folder / name).write_bytes(b"x" * 2**20)
    for age, name in enumerate(("outbox.db.damaged-2", "outbox.db.damaged-2-wal", "outbox.db.damaged-3"), 1):
        (folder / name).write_bytes(b"x" * 2**20)
        os.utime(folder / name, (1000 - age, 1000 - age))
    check = disk_space(folder, nothing)
    assert "MiB free" in check.look()
    assert check.mend() == "old logs removed (1.0 MiB), damaged databases removed (3.0 MiB)"
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left == {"logs/serve.log", "outbox.db", "outbox.db.damaged-1", "outbox.db.damaged-1-wal"}
    assert check.mend() == ""


def test_model_files_that_no_version_needs_go_from_a_full_disk(folder: Path) -> None:
    store = ModelStore(folder / "models")
    store.create()
    store.blob(Sha256("a" * 64)).write_bytes(b"x" * 2**20)
    check = disk_space(folder, lambda: store.collect(set()))
    assert check.mend() == "model files removed (1.0 MiB)"
    assert not store.holds(Sha256("a" * 64))


def test_heat_is_told_from_the_limit_on(folder: Path) -> None:
    sensor = folder / "sys/class/thermal/thermal_zone0/temp"
    sensor.parent.mkdir(parents=True)
    check = temperature(Hardware(folder), lambda: 80.0)
    assert check.look() == ""
    sensor.write_text("79900")
    assert check.look() == ""
    sensor.write_text("80400")
    assert check.look() == "80 °C"


def test_little_memory_is_told(folder: Path) -> None:
    (folder / "proc").mkdir()
    check = memory(Hardware(folder))
    (folder / "proc/meminfo").write_text("MemTotal: 1048576 kB\nMemAvailable: 524288 kB\n")
    assert check.look() == ""
    (folder / "proc/meminfo").write_text("MemTotal: 1048576 kB\nMemAvailable: 20480 kB\n")
    assert check.look() == "20 of 1024 MiB left"


def test_a_device_that_waits_for_enrolment_misses_no_hub() -> None:
    link = HubLink()
    assert hub(link).look() == ""
    link.joining("http://hub:8000")
    link.fails("refused")
    assert hub(link).look() == "unreachable: refused"
    link.works()
    assert hub(link).look() == ""


def test_a_clock_that_is_late_is_told_from_one_that_is_early() -> None:
    assert skew(60.0) == "this clock is 60 s behind"
    assert skew(-60.0) == "this clock is 60 s ahead"
    assert clock(HubLink()).look() == ""


def test_a_missing_inference_server_and_a_refused_version_are_told() -> None:
    assert inference(list[str]).look() == ""
    assert inference(lambda: ["default"]).look() == "not connected: flip-agent serve"
    assert inference(lambda: ["faces", "cats"]).look() == "not connected: flip-agent serve faces, flip-agent serve cats"
    refused = reports(failures=[RolloutFailure(model="digits", version=3, reason="probe differs")])
    assert rollout(refused).look() == "digits version 3: probe differs"


@pytest.mark.parametrize(
    ("serving", "wanted", "text"),
    [
        ([serves(3)], [WANTED], ""),
        ([], [], ""),
        ([], [WANTED], "digits version 3 is wanted, none is served"),
        ([serves(2)], [WANTED], "digits version 3 is wanted, version 2 is served"),
    ],
)
def test_a_version_that_is_wanted_and_not_served_is_told(
    serving: list[ServingModel], wanted: list[ModelAssignment], text: str
) -> None:
    desired = DesiredState(generation=1, models=wanted)
    assert freshness(lambda: desired, reports(serving=serving), lambda: 0.0, lambda: 1e9).look() == text


def test_own_parts_that_are_refused_are_told_and_a_device_that_has_none_is_well() -> None:
    def look(local: LocalParts | None) -> str:
        return parts(reports(serving=[replace(serves(3), local=local)])).look()

    assert look(None) == ""
    assert look(LocalParts(served="own", run_id="run-1", round=3, trained_at=1.0)) == ""
    assert look(LocalParts(served="untrained", run_id="run-1")) == ""
    refused = LocalParts(served="refused", run_id="run-1", reason="damaged on its disk")
    assert look(refused) == "digits version 3: damaged on its disk"


def test_an_old_version_is_told_where_that_is_asked_for() -> None:
    desired, serving = DesiredState(generation=1, models=[WANTED]), reports(serving=[serves(3, since=0.0)])
    check = freshness(lambda: desired, serving, lambda: 7 * 86400.0, lambda: 8 * 86400.0)
    assert check.look() == "digits version 3 has been served for 8.0 days"


def test_a_data_folder_that_cannot_be_read_is_told(folder: Path) -> None:
    assert data_folder(dict).look() == ""
    assert data_folder(lambda: {"data": "partition-3"}).look() == ""
    assert data_folder(lambda: {"data": str(folder)}).look() == ""
    assert data_folder(lambda: {"data": f"{folder}/gone"}).look() == f"{folder}/gone is not there"
