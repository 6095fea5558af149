"""Names that people give to what the hub keeps: safe in paths, URLs and headers."""

import re

from flip_hub.problem import Unprocessable

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def check_name(name: str, of: str, *, reserved: str = "") -> None:
    """`of`: what it is to name. Raises `Unprocessable`."""
    if not _NAME.fullmatch(name) or name == reserved:
        hint = "lower-case letters, digits, '.', '_' and '-', at most 64"
        raise Unprocessable(f"{name[:80]!r} is no name for a {of}", hint=hint)
