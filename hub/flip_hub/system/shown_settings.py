"""The hub's settings for people to read: each value with where it comes from, and without what is secret in it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from flip_hub.settings import Settings
from flip_hub.system.schemas import Setting

HIDDEN = "***"
_WHOLE_ADDRESS_IS_SECRET = frozenset({"webhook.url"})
"""Whoever knows it may call it."""


def shown_settings(settings: Settings, sources: Mapping[str, str]) -> list[Setting]:
    """`sources`: by `section.key`, as `flip_runtime.config.load_with_sources` gives them."""
    return list(_settings(settings, sources))


def _settings(settings: Settings, sources: Mapping[str, str]) -> Iterator[Setting]:
    for section in msgspec.structs.fields(Settings):
        values = getattr(settings, section.name)
        for key in msgspec.structs.fields(values):
            name = f"{section.name}.{key.name}"
            value = _bare(name, getattr(values, key.name))
            yield Setting(
                section=section.name,
                key=key.name,
                value=msgspec.json.encode(value, enc_hook=_text).decode(),
                default=name not in sources,
                source=sources.get(name, ""),
            )


def _bare(name: str, value: Any) -> Any:
    """Without the user and password of an address."""
    if not isinstance(value, str) or "://" not in value:
        return value
    parts = urlsplit(value)
    host = parts.netloc.rpartition("@")[2]
    known = f"{HIDDEN}@{host}" if "@" in parts.netloc else host
    if name in _WHOLE_ADDRESS_IS_SECRET:
        return f"{parts.scheme}://{known}/{HIDDEN}"
    query = HIDDEN if parts.query and "@" in parts.netloc else parts.query
    return urlunsplit((parts.scheme, known, parts.path, query, ""))


def _text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value))
