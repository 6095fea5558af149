"""The command line refuses in one line that names what to change."""

import importlib.metadata
from pathlib import Path

import pytest

from flip_agent.cli import main
from flip_agent.version import AGENT_VERSION


def write(folder: Path, text: str) -> str:
    (folder / "agent.toml").write_text(text)
    return str(folder / "agent.toml")


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    return text


def test_an_unknown_configuration_key_is_named_and_exits_78(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(folder, "[agent]\nheart_beat = 3\n")
    assert main(["run", "--config", config]) == 78
    assert "heart_beat" in complaint(capsys)


def test_a_state_folder_that_cannot_be_used_is_named_with_its_setting(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "state").write_text("a file where the folder should be")
    config = write(folder, f'[agent]\nstate = "{folder}/state"\n')
    assert main(["run", "--config", config]) == 78
    text = complaint(capsys)
    assert f"{folder}/state" in text
    assert "agent.state" in text


def test_a_path_too_long_for_a_socket_names_the_setting(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(folder, f'[agent]\nstate = "{folder}/{"s" * 100}"\nsupervise = false\n')
    assert main(["run", "--config", config]) == 78
    assert "agent.runtime" in capsys.readouterr().err.splitlines()[-1]


def test_status_without_a_daemon_says_how_to_start_it_and_exits_3(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(folder, f'[agent]\nstate = "{folder}/state"\n')
    assert main(["status", "--config", config]) == 3
    text = complaint(capsys)
    assert "not running" in text
    assert "flip-agent run" in text


def test_the_version_is_the_packages_own() -> None:
    assert importlib.metadata.version("flip-edge") == AGENT_VERSION
