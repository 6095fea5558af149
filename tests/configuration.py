"""Settings as the file that a program reads them from."""

from typing import Any

import msgspec
from msgspec import Struct


def toml_of(settings: Struct) -> str:
    """Every key that has a value, by section."""
    lines: list[str] = []
    for name, values in msgspec.to_builtins(settings, enc_hook=str).items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_value(value)}" for key, value in values.items() if value is not None]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(each)}" for key, each in value.items() if each is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return msgspec.json.encode(value).decode()
