"""Configuration: environment over file over defaults, and every mistake is named."""

from pathlib import Path

import pytest
from msgspec import Struct

from flip_runtime.config import load_config
from flip_runtime.errors import ConfigError


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: int = 1
    folder: Path = Path("/tmp")
    names: list[str] = []
    loud: bool = False


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    server: Server = Server()


def test_the_environment_wins_over_the_file_and_the_file_over_defaults(folder: Path) -> None:
    path = folder / "c.toml"
    path.write_text('[server]\nport = 2\nfolder = "/a"\n')
    environment = {"FLIP_SERVER__PORT": "3", "FLIP_SERVER__NAMES": '["a", "b"]', "FLIP_SERVER__LOUD": "true"}
    config = load_config(Config, path, environment=environment)
    assert config.server == Server(port=3, folder=Path("/a"), names=["a", "b"], loud=True)


def test_an_unknown_key_or_section_is_refused_by_name_and_the_known_ones_are_listed(folder: Path) -> None:
    path = folder / "c.toml"
    path.write_text("[server]\nprot = 2\n")
    with pytest.raises(ConfigError, match=r"no key prot in section \[server\]") as refused:
        load_config(Config, path, environment={})
    assert refused.value.hint == "it has folder, loud, names, port"
    path.write_text("[sever]\nport = 2\n")
    with pytest.raises(ConfigError, match=r"no section \[sever\]") as refused:
        load_config(Config, path, environment={})
    assert refused.value.hint == "there are server"
    with pytest.raises(ConfigError, match="prot"):
        load_config(Config, None, environment={"FLIP_SERVER__PROT": "2"})


def test_a_value_of_the_wrong_type_is_refused_with_its_place(folder: Path) -> None:
    path = folder / "c.toml"
    path.write_text('[server]\nport = "many"\n')
    with pytest.raises(ConfigError, match=r"server\.port"):
        load_config(Config, path, environment={})


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"/nowhere/c\.toml"):
        load_config(Config, Path("/nowhere/c.toml"), environment={})


def test_variables_of_other_sections_are_left_alone() -> None:
    assert load_config(Config, None, environment={"FLIP_OTHER__KEY": "1", "FLIP_PLAIN": "2"}) == Config()
