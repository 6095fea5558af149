"""Configuration: defaults < TOML file < environment `PREFIX_SECTION__KEY`; what is unknown or out of its range is
refused by name."""

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.inspect import FloatType, IntType, LiteralType, type_info

from flip_runtime.errors import ConfigError

T = TypeVar("T", bound=Struct)

_AGENT = ("agent", "outbox", "inference", "models", "samples", "federation", "governor", "network", "logs")
_HUB = (
    *("hub", "mongo", "redis", "artifacts", "fleet", "superlink", "control", "auth", "oidc", "apps", "devices"),
    *("alerts", "mail", "webhook", "otlp", "metrics", "cluster", "uploads", "rollouts", "updates", "logs"),
)
SECTIONS = frozenset((*_AGENT, *_HUB))
"""Of all programs: hub and agent may share one environment, so a section of the other is not unknown there."""


class _Given(Struct, frozen=True):
    section: str
    key: str
    value: Any
    where: str
    """The file or the variable."""


def load_config(
    kind: type[T], path: Path | None, *, prefix: str = "FLIP_", environment: Mapping[str, str] | None = None
) -> T:
    """Reads `kind`, a frozen Struct of section Structs whose keys all have defaults.

    `FLIP_HUB__URL=...` sets `url` in section `hub`. Raises `ConfigError` that names the file or variable and the key.
    """
    return load_with_sources(kind, path, prefix=prefix, environment=environment)[0]


def load_with_sources(
    kind: type[T], path: Path | None, *, prefix: str = "FLIP_", environment: Mapping[str, str] | None = None
) -> tuple[T, dict[str, str]]:
    """As `load_config`; and for each `section.key` that is no default the file or the variable that sets it."""
    sections = {field.name: field.type for field in msgspec.structs.fields(kind)}
    variables = os.environ if environment is None else environment
    values: dict[str, dict[str, Any]] = {}
    sources: dict[str, str] = {}
    for given in (*_of_file(path, sections), *_of_environment(variables, prefix, sections)):
        values.setdefault(given.section, {})[given.key] = _checked(given, sections[given.section])
        sources[f"{given.section}.{given.key}"] = given.where
    return kind(**{name: sections[name](**keys) for name, keys in values.items()}), sources


def secret_of(path: Path, setting: str) -> str:
    """The one line of a file with a secret. Raises `ConfigError`, which never says what is in it."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{setting}: cannot read {path}", hint="check its owner and mode") from error


def _of_file(path: Path | None, sections: Mapping[str, Any]) -> Iterator[_Given]:
    for name, keys in ({} if path is None else _read(path)).items():
        if name not in sections:
            raise _no_section(name, str(path), sections)
        if not isinstance(keys, dict):
            raise ConfigError(f"{name} in {path} is a section, not a value", hint=f"write [{name}], its keys below")
        for key, value in keys.items():
            yield _Given(name, key, value, str(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"no configuration file {path}", hint="create it, or name another with --config") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="check its owner and mode") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is no UTF-8 text: {error.reason} at byte {error.start}", hint="write it anew"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error


def _of_environment(variables: Mapping[str, str], prefix: str, sections: Mapping[str, Any]) -> Iterator[_Given]:
    for name, text in sorted(variables.items()):
        if name.startswith(prefix) and "__" in name:
            section, _, key = name.removeprefix(prefix).lower().partition("__")
            if section in sections:
                yield _Given(section, key, _parse(name, text), name)
            elif section not in SECTIONS:
                raise _no_section(section, f"the environment ({name})", sections)


def _parse(name: str, text: str) -> Any:
    """A list or table from the environment is written as JSON; anything else is plain text."""
    if text.startswith(("[", "{")):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise ConfigError(f"{name} is no JSON: {error}", hint="lists and tables are written as JSON") from error
    return text


def _checked(given: _Given, section_type: Any) -> Any:
    kinds = {field.name: field.type for field in msgspec.structs.fields(section_type)}
    if given.key not in kinds:
        message = f"no key {given.key} in section [{given.section}] of {given.where}"
        raise ConfigError(message, hint=f"it has {_names(kinds)}")
    kind = kinds[given.key]
    try:
        return msgspec.convert(given.value, kind, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        message = f"{given.section}.{given.key} is {given.value!r:.80}: {_wanted(kind) or error}"
        raise ConfigError(message, hint=f"correct {given.where}") from error


def _wanted(kind: Any) -> str:
    match type_info(kind):
        case IntType(ge=least, le=most) if least is not None:
            return f"it must be a whole number from {least} to {most}"
        case FloatType(ge=least, le=most) if least is not None:
            return f"it must be a number from {least} to {most}"
        case LiteralType(values=values):
            return f"it must be one of {', '.join(map(str, values))}"
        case _:
            return ""


def _no_section(name: str, where: str, sections: Iterable[str]) -> ConfigError:
    return ConfigError(f"no section [{name}] in {where}", hint=f"there are {_names(sections)}")


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _path(kind: type[Any], value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return _credential(Path(value))
    raise NotImplementedError(kind)


def _credential(path: Path) -> Path:
    """A name without a folder may be a secret that systemd gives this service (systemd.exec(5), LoadCredential=)."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    if given and path.parent == Path() and (credential := Path(given) / path).is_file():
        return credential
    return path
