"""Configuration: environment over file over defaults, and every mistake is named, with what would be right."""

from pathlib import Path

import msgspec
import pytest
from msgspec import Struct
from msgspec.inspect import FloatType, IntType, type_info

from flip_agent.settings import Settings as AgentSettings
from flip_hub.settings import Settings as HubSettings
from flip_runtime.config import SECTIONS, load_config
from flip_runtime.errors import ConfigError

PROGRAMS = (AgentSettings, HubSettings)


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


def test_variables_of_the_other_program_and_plain_ones_are_left_alone() -> None:
    assert load_config(Config, None, environment={"FLIP_MONGO__URL": "1", "FLIP_HUB_URL": "2"}) == Config()


def test_a_misspelt_section_in_the_environment_is_refused_by_its_variable() -> None:
    with pytest.raises(ConfigError, match="FLIP_SEVER__PORT") as refused:
        load_config(Config, None, environment={"FLIP_SEVER__PORT": "2"})
    assert refused.value.hint == "there are server"


def test_the_sections_that_are_known_are_those_of_both_programs() -> None:
    assert {field.name for kind in PROGRAMS for field in msgspec.structs.fields(kind)} == SECTIONS


def test_a_file_that_is_no_text_and_a_value_in_the_place_of_a_section_are_named(folder: Path) -> None:
    path = folder / "c.toml"
    path.write_bytes(b"[server]\nfolder = '\xff\xfe'\n")
    with pytest.raises(ConfigError, match=r"c\.toml is no UTF-8"):
        load_config(Config, path, environment={})
    path.write_text("server = 5\n")
    with pytest.raises(ConfigError, match=r"server .* is a section") as refused:
        load_config(Config, path, environment={"FLIP_SERVER__PORT": "2"})
    assert "[server]" in refused.value.hint


@pytest.mark.parametrize(
    ("kind", "name", "value", "wanted"),
    [
        (AgentSettings, "AGENT__HEARTBEAT", "-1", r"agent\.heartbeat is '-1': .*0\.05 to 86400"),
        (AgentSettings, "AGENT__HEARTBEAT", "nan", r"agent\.heartbeat is 'nan': .*0\.05 to 86400"),
        (AgentSettings, "AGENT__HEARTBEAT", "0", r"agent\.heartbeat is '0': .*0\.05 to 86400"),
        (AgentSettings, "FEDERATION__LEASE", "5.0", r"federation\.lease is '5\.0': .*10 to 1800"),
        (AgentSettings, "OUTBOX__MAX_BYTES", "0", r"outbox\.max_bytes is '0': .*1048576 to"),
        (AgentSettings, "INFERENCE__PORT", "99999", r"inference\.port is '99999': .*1 to 65535"),
        (AgentSettings, "LOGS__LEVEL", "loud", r"logs\.level is 'loud': .*debug, error, info"),
        (HubSettings, "HUB__PORT", "-1", r"hub\.port is '-1': .*1 to 65535"),
        (HubSettings, "FLEET__WAKES_WITHIN", "inf", r"fleet\.wakes_within is 'inf': .*0 to 86400"),
    ],
)
def test_a_value_out_of_its_range_is_refused_with_the_range(
    kind: type[Struct], name: str, value: str, wanted: str
) -> None:
    with pytest.raises(ConfigError, match=wanted) as refused:
        load_config(kind, None, environment={f"FLIP_{name}": value})
    assert refused.value.hint == f"correct FLIP_{name}"


def test_every_number_among_the_settings_has_a_range() -> None:
    for kind in PROGRAMS:
        for section in msgspec.structs.fields(kind):
            for key in msgspec.structs.fields(section.type):
                found = type_info(key.type)
                if isinstance(found, IntType | FloatType):
                    assert found.ge is not None, f"{section.name}.{key.name}"
                    assert found.le is not None, f"{section.name}.{key.name}"


def test_the_defaults_are_within_their_ranges() -> None:
    for kind in PROGRAMS:
        plain = msgspec.to_builtins(kind(), enc_hook=str)
        assert msgspec.convert(plain, kind, dec_hook=lambda kind, value: kind(value)) == kind()
