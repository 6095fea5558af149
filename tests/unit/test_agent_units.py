"""How `run` has systemd start training, and what it says of units that do not come; systemctl is a script here."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from flip_agent import units
from flip_agent.reported import Reported
from flip_agent.units import TRAIN_FILE, Units
from flip_agent.watched import Watched
from flip_runtime.backoff import Backoff
from flip_wire.fleet import DesiredState, WorkNotice

SYSTEMCTL = """#!/bin/sh
for unit; do :; done
cat "$(dirname "$0")/$unit"
"""
ACTIVE = "LoadState=loaded\nActiveState=active\nResult=success\nExecMainStatus=0\n"
REFUSED = "LoadState=loaded\nActiveState=failed\nResult=exit-code\nExecMainStatus=78\n"


class Systemd:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, script in (("systemctl", SYSTEMCTL), ("journalctl", "#!/bin/sh\necho flip-agent: port is taken\n")):
            (folder / name).write_text(script)
            (folder / name).chmod(0o755)

    def says(self, unit: str, properties: str) -> None:
        (self.folder / unit).write_text(properties)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(units, "_COMES_WITHIN", 0.05)
    monkeypatch.setattr(units, "_LOOK_EVERY", 0.02)
    monkeypatch.setattr(units, "_AGAIN", Backoff(first=0.05, most=0.1))
    return Systemd(tmp_path)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def units_of(folder: Path, missing: list[str], desired: Watched[DesiredState], reported: Reported) -> Units:
    return Units(folder, folder, lambda: missing, desired, reported)


@pytest.mark.asyncio
async def test_training_is_asked_for_by_a_file_while_there_is_work(systemd: Systemd, tmp_path: Path) -> None:
    desired, reported = Watched(DesiredState(generation=1)), Reported(1)
    asked = tmp_path / TRAIN_FILE
    task = asyncio.create_task(units_of(tmp_path, [], desired, reported).run_train())
    await asyncio.sleep(0.05)
    assert not asked.exists()
    desired.set(DesiredState(generation=2, work=[WorkNotice(run_id="run-1")]))
    await until(asked.exists)
    reported.in_session.set(True)
    asked.unlink()
    await asyncio.sleep(0.1)
    assert not asked.exists(), "it is there"
    reported.in_session.set(False)
    await until(asked.exists)
    task.cancel()


@pytest.mark.asyncio
async def test_training_that_does_not_come_is_told_of_with_its_last_words(systemd: Systemd, tmp_path: Path) -> None:
    desired, reported = Watched(DesiredState(generation=1, work=[WorkNotice(run_id="run-1")])), Reported(1)
    systemd.says("flip-train.path", ACTIVE)
    systemd.says("flip-train.service", REFUSED)
    watched = units_of(tmp_path, [], desired, reported)
    task = asyncio.create_task(watched.run_train())
    await until(lambda: watched.failing("train") != "")
    assert watched.failing("train") == "flip-train.service is failed (exit-code, status 78): port is taken"
    assert reported.state.value.held_because == watched.failing("train")
    reported.in_session.set(True)
    await until(lambda: watched.failing("train") == "")
    task.cancel()


@pytest.mark.asyncio
async def test_a_path_unit_that_nobody_has_enabled_is_named_with_the_way_out(systemd: Systemd, tmp_path: Path) -> None:
    desired, reported = Watched(DesiredState(generation=1, work=[WorkNotice(run_id="run-1")])), Reported(1)
    systemd.says("flip-train.path", ACTIVE.replace("active\n", "inactive\n", 1))
    watched = units_of(tmp_path, [], desired, reported)
    task = asyncio.create_task(watched.run_train())
    await until(lambda: "systemctl enable --now flip-train.path" in watched.failing("train"))
    task.cancel()


@pytest.mark.asyncio
async def test_an_instance_that_stays_away_is_told_of_until_it_is_there(systemd: Systemd, tmp_path: Path) -> None:
    missing = ["default"]
    systemd.says("flip-inference@default.service", REFUSED)
    watched = units_of(tmp_path, missing, Watched(DesiredState(generation=1)), Reported(1))
    task = asyncio.create_task(watched.run_serve())
    await until(lambda: "flip-inference@default.service is failed" in watched.failing("serve"))
    missing.clear()
    await until(lambda: watched.failing("serve") == "")
    task.cancel()


@pytest.mark.asyncio
async def test_a_corrected_configuration_is_tried_at_once(
    systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "_AGAIN", Backoff(first=3600.0, most=3600.0))
    desired, reported = Watched(DesiredState(generation=1, work=[WorkNotice(run_id="run-1")])), Reported(1)
    systemd.says("flip-train.path", ACTIVE)
    systemd.says("flip-train.service", REFUSED)
    watched = units_of(tmp_path, [], desired, reported)
    task = asyncio.create_task(watched.run_train())
    await until(lambda: watched.failing("train") != "")
    (tmp_path / TRAIN_FILE).unlink()
    watched.try_again()
    assert watched.failing("train") == ""
    await until((tmp_path / TRAIN_FILE).exists)
    task.cancel()
