"""The command line refuses in one line that names what to change."""

import importlib.metadata
import os
from pathlib import Path

import msgspec
import pytest

from flip_agent.cli import main
from flip_agent.device_key import KEY_FILE, make_key
from flip_agent.identity import Identity, save_identity
from flip_agent.version import AGENT_VERSION
from flip_wire.fleet import DeviceId

IDENTITY = Identity(
    device_id=DeviceId("dev-0123456789ab"),
    name="north",
    hub_url="https://127.0.0.1:9",
    fleet_address="127.0.0.1:9",
    ca="",
)


def write(folder: Path, text: str) -> str:
    (folder / "agent.toml").write_text(text)
    return str(folder / "agent.toml")


def device(folder: Path, ca: str = "") -> str:
    """Its configuration."""
    (folder / "state").mkdir()
    make_key(folder / "state")
    save_identity(folder / "state", msgspec.structs.replace(IDENTITY, ca=ca))
    return write(folder, f'[agent]\nstate = "{folder}/state"\n')


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


def test_status_as_json_without_a_daemon_is_json_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(folder, f'[agent]\nstate = "{folder}/state"\n')
    assert main(["status", "--json", "--config", config]) == 3
    said = capsys.readouterr()
    answer = msgspec.json.decode(said.out, type=dict[str, str])
    assert "not running" in answer["error"]
    assert "flip-agent run" in answer["hint"]
    assert said.err == ""


def test_the_version_is_the_packages_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert importlib.metadata.version("flip-edge") == AGENT_VERSION
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{AGENT_VERSION}\n"


@pytest.mark.parametrize("command", ["run", "serve", "train", "status", "doctor"])
def test_a_configuration_that_is_no_text_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    config = folder / "agent.toml"
    config.write_bytes(b"[agent]\n# \xff\xfe\n")
    status = main([command, "--config", str(config)])
    said = capsys.readouterr()
    assert status == (1 if command == "doctor" else 78)
    assert (said.out + said.err).count("\n") == 1
    assert str(config) in said.out + said.err


def test_a_port_that_is_none_is_refused_before_anybody_listens(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(folder, "[inference]\nport = 99999\n")
    assert main(["serve", "--config", config]) == 78
    assert "inference.port is 99999: it must be a whole number from 1 to 65535" in complaint(capsys)


@pytest.mark.parametrize("content", [b"", b"localhost\n", b"\xff\xfe\x00", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_an_authority_that_is_no_certificate_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    config = write(folder, f'[agent]\nstate = "{folder}/state"\n')
    (folder / "ca.pem").write_bytes(content)
    options = ["--token", "T", "--ca", str(folder / "ca.pem"), "--config", config]
    assert main(["enrol", "https://127.0.0.1:9", *options]) == 78
    assert f"{folder}/ca.pem" in complaint(capsys)


def test_training_with_a_key_that_is_none_names_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = device(folder)
    (folder / "state" / KEY_FILE).write_bytes(os.urandom(300))
    assert main(["train", "--config", config]) == 78
    assert str(folder / "state" / KEY_FILE) in complaint(capsys)


def test_training_with_an_authority_that_is_none_names_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = device(folder, ca="localhost")
    assert main(["train", "--config", config]) == 78
    text = complaint(capsys)
    assert "ca in identity.json" in text
    assert "enrol URL --token T --again" in text
