"""Configuration: defaults < TOML file < environment `PREFIX_SECTION__KEY`; unknown keys are refused by name."""

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from flip_runtime.errors import ConfigError

T = TypeVar("T", bound=msgspec.Struct)


def load_config(
    kind: type[T], path: Path | None, *, prefix: str = "FLIP_", environment: Mapping[str, str] | None = None
) -> T:
    """Reads `kind`, a frozen Struct of section Structs that forbids unknown fields.

    `FLIP_HUB__URL=...` sets `url` in section `hub`. Raises `ConfigError` that names the file or variable and the key.
    """
    values = {} if path is None else _read(path)
    variables = os.environ if environment is None else environment
    sections = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for name, text in sorted(variables.items()):
        if name.startswith(prefix) and "__" in name:
            section, _, key = name.removeprefix(prefix).lower().partition("__")
            if section in sections:
                values.setdefault(section, {})[key] = _parse(sections[section], key, text)
    where = "the environment" if path is None else f"{path} (or the environment)"
    _refuse_unknown(values, sections, where)
    try:
        return msgspec.convert(values, kind, strict=False, str_keys=True, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise ConfigError(f"configuration: {error}", hint=f"correct {where}") from error


def section(value: object) -> Any:
    """Gives a section Struct as plain data, paths as text, for writing a file."""
    return msgspec.to_builtins(value, enc_hook=str)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"no configuration file {path}", hint="create it, or name another with --config") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="check its owner and mode") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error


def _refuse_unknown(values: Mapping[str, Any], sections: Mapping[str, Any], where: str) -> None:
    for name, keys in values.items():
        if name not in sections:
            raise ConfigError(f"no section [{name}] in {where}", hint=f"there are {_names(sections)}")
        known = {field.encode_name for field in msgspec.structs.fields(sections[name])}
        for key in keys if isinstance(keys, dict) else ():
            if key not in known:
                raise ConfigError(f"no key {key} in section [{name}] of {where}", hint=f"it has {_names(known)}")


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _parse(section_type: Any, key: str, text: str) -> Any:
    """A list or table from the environment is written as JSON; anything else is plain text."""
    if text.startswith(("[", "{")):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise ConfigError(f"environment value of {key} is no JSON: {error}") from error
    return text


def _path(kind: type[Any], value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)
