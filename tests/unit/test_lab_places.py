"""A lab writes where it was told, and nowhere else: not to a real hub's folder, and not into the air at its end."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from flip_hub.settings import Settings
from flip_lab.lab import node_configs
from flip_lab.places import check_report, folder_of, forget_settings
from flip_runtime.config import load_config
from flip_runtime.errors import ConfigError, Rejected, Unavailable


def test_a_lab_takes_nothing_from_the_settings_of_a_real_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FLIP_HUB__STATE", "FLIP_HUB__PORT", "FLIP_MONGO__URL", "FLIP_AGENT__STATE", "FLIP_LAB"):
        monkeypatch.setenv(name, "8123")
    forget_settings()
    assert load_config(Settings, None) == Settings()


def test_a_report_that_cannot_be_written_is_refused_before_the_lab_begins(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--report .*/nope/x\.json: No such file"):
        check_report(tmp_path / "nope" / "x.json")
    with pytest.raises(ConfigError, match=r"--report .* is a folder"):
        check_report(tmp_path)
    check_report(tmp_path / "x.json")
    check_report(None)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_to_keep_that_cannot_be_is_refused_by_its_option(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigError, match=r"--keep .*/file: "), folder_of(file):
        pass
    with pytest.raises(ConfigError, match="--keep /proc/x: "), folder_of(Path("/proc/x")):
        pass
    with pytest.raises(ConfigError, match=r"--keep .* is not empty"), folder_of(tmp_path):
        pass
    with folder_of(tmp_path / "new" / "one") as folder:
        assert folder.is_dir()


def _end(folders: list[Path], error: BaseException | None, hint: str = "") -> None:
    """A lab that has written all sorts of files ends so; `hint`: with one that names this file in its folder."""
    with folder_of(None) as folder:
        folders.append(folder)
        (folder / "hub").mkdir()
        for name in ("hub.log", "hub/superlink.log", "hub/internal.secret", "hub.toml"):
            (folder / name).write_text(name)
        if hint:
            raise ExceptionGroup("parts", [Unavailable("the hub is not ready", hint=f"see {folder / hint}")])
        if error is not None:
            raise error


def test_a_lab_leaves_nothing_behind_but_the_logs_that_an_error_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folders: list[Path] = []
    _end(folders, None)
    with pytest.raises(asyncio.CancelledError):
        _end(folders, asyncio.CancelledError())
    with pytest.raises(Rejected):
        _end(folders, Rejected("no such strategy"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ExceptionGroup):
        _end(folders, None, "hub.log")
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {
        folders[-1] / "hub.log",
        folders[-1] / "hub" / "superlink.log",
    }


def test_a_folder_without_an_app_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nope is no folder of a Flower app.*examples/digits") as told:
        node_configs(tmp_path / "nope", 1, 0, tmp_path / "data")
    assert "Errno" not in str(told.value)
