"""Root's part of an update (`/usr/lib/flip-agent/update.py`), with the programs that it calls played by the test."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SOURCE = Path(__file__).parents[2] / "packaging/debian/flip-agent/lib/update.py"


class Device:
    """Its folders, and what its programs do."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        spec = importlib.util.spec_from_file_location("package_update", SOURCE)
        assert spec is not None
        assert spec.loader is not None
        self.update: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.update)
        self.folder = folder
        self.starts, self.up, self.commands = 0, 100.0, list[list[str]]()
        self.fails: dict[str, str] = {}
        """Complaint of the command that has that word in it."""
        for name, path in (
            ("STATE", folder),
            ("PROBATION", folder / "probation.json"),
            ("RESULT", folder / "update.json"),
        ):
            monkeypatch.setattr(self.update, name, path)
        monkeypatch.setattr(self.update, "REQUEST", folder / "request")
        monkeypatch.setattr(self.update, "SLOTS", folder)
        monkeypatch.setattr(self.update, "run", self._run)
        monkeypatch.setattr(self.update, "output", self._output)
        monkeypatch.setattr(self.update, "uptime", lambda: self.up)
        monkeypatch.setattr(self.update, "boot", lambda: "boot-1")
        monkeypatch.setattr(self.update.time, "sleep", self._sleep)
        self.point("1.0.0")

    def point(self, version: str) -> None:
        (self.folder / "current").unlink(missing_ok=True)
        (self.folder / "current").symlink_to(f"slots/{version}")

    def asks(self, text: str) -> None:
        (self.folder / "request").write_text(text)

    @property
    def told(self) -> dict[str, Any]:
        return json.loads((self.folder / "update.json").read_text())

    @property
    def on_probation(self) -> bool:
        return (self.folder / "probation.json").exists()

    def called(self, word: str) -> list[list[str]]:
        return [command for command in self.commands if any(word in part for part in command)]

    def _run(self, command: list[str], within: float) -> tuple[int, str]:
        self.commands.append(command)
        for word, complaint in self.fails.items():
            if word in command:
                return 100, complaint
        if command[0].endswith("rollback"):
            self.point("1.0.0")
        elif command[0] == "apt-get" and "install" in command:
            version = command[-1].partition("=")[2]
            self.point(version)
            self.update.installed(version, "1.0.0")
        return 0, ""

    def _output(self, command: list[str]) -> str:
        return str(self.starts) if command[0] == "systemctl" else ""

    def _sleep(self, _: float) -> None:
        self.up += 1


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    return Device(tmp_path, monkeypatch)


def settles(device: Device, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new version says so after three seconds."""

    def sleep(_: float) -> None:
        device.up += 1
        if device.up > 102:
            device.asks(f"settled {version}")

    monkeypatch.setattr(device.update.time, "sleep", sleep)


def test_a_version_that_says_that_it_is_well_stays(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    device.asks("install 1.1.0 7")
    settles(device, "1.1.0", monkeypatch)
    assert device.update.main([]) == 0
    assert {**device.told, "at": 0} == {"version": "1.1.0", "attempt": 7, "state": "done", "reason": "", "at": 0}
    assert not device.on_probation
    (install,) = device.called("flip-agent=1.1.0")
    assert "--no-remove" in install


def test_one_that_says_nothing_goes_back_in_time(device: Device) -> None:
    device.asks("install 1.1.0 1")
    device.update.main([])
    assert device.told["state"] == "rolled-back"
    assert "15 minutes" in device.told["reason"]
    assert device.update.running() == "1.0.0"
    assert device.up == pytest.approx(100 + 901, abs=2)


def test_one_that_ends_again_and_again_goes_back_at_once(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(_: float) -> None:
        device.up += 1
        device.starts += 1

    monkeypatch.setattr(device.update.time, "sleep", sleep)
    device.asks("install 1.1.0 1")
    device.update.main([])
    assert (device.told["state"], device.told["reason"]) == ("rolled-back", "it ended 3 times")


def test_what_went_back_is_not_tried_again_until_the_hub_asks_anew(device: Device) -> None:
    device.asks("install 1.1.0 1")
    device.update.main([])
    device.commands.clear()
    device.asks("install 1.1.0 1")
    device.update.main([])
    assert device.called("install") == []
    device.asks("install 1.1.0 2")
    device.update.main([])
    assert len(device.called("flip-agent=1.1.0")) == 1


def test_an_installation_that_fails_is_told_of_with_what_apt_said(device: Device) -> None:
    device.fails = {"install": "E: Version '9.9' for 'flip-agent' was not found"}
    device.asks("install 9.9 1")
    device.update.main([])
    assert (device.told["state"], device.told["reason"]) == (
        "failed",
        "E: Version '9.9' for 'flip-agent' was not found",
    )


@pytest.mark.parametrize(
    "text", ["", "install", "install $(reboot) 1", "install 1.1.0 -1", "install -oX=y 1", "x\0y 1 2"]
)
def test_what_is_no_request_installs_nothing(device: Device, text: str) -> None:
    device.asks(text)
    device.update.main([])
    assert device.called("install") == []


def test_a_power_cut_during_probation_gives_it_its_time_anew(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    device.point("1.1.0")
    device.update.installed("1.1.0", "1.0.0")
    monkeypatch.setattr(device.update, "boot", lambda: "boot-2")
    device.up = 5.0
    settles(device, "1.1.0", monkeypatch)
    monkeypatch.setattr(device.update.time, "sleep", lambda _: device.asks("settled 1.1.0"))
    device.update.main([])
    assert device.told["state"] == "done"


def test_a_rollback_by_hand_ends_the_probation(device: Device) -> None:
    device.update.installed("1.1.0", "1.0.0")  # current is 1.0.0 again
    device.update.main([])
    assert (device.told["state"], device.told["reason"]) == ("rolled-back", "by hand")


def test_safe_mode_sends_back_what_is_on_probation_and_nothing_else(device: Device) -> None:
    assert device.update.main(["failed", "it did not start"]) == 1
    device.point("1.1.0")
    device.update.installed("1.1.0", "1.0.0")
    assert device.update.main(["failed", "it did not start"]) == 0
    assert (device.told["state"], device.told["reason"]) == ("rolled-back", "it did not start")


def test_an_installation_that_a_power_cut_has_broken_off_is_finished_first(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device.update, "output", lambda command: "flip-agent" if "--audit" in command else "0")
    device.update.main([])
    assert device.commands[0][:1] == ["dpkg"]
    assert "--configure" in device.commands[0]


def test_it_runs_without_anything_of_flip() -> None:
    text = SOURCE.read_text()
    assert "import flip" not in text
    assert "from flip" not in text
