"""What a call has changed, field by field: services say it where they change something, and the audit takes it along.

A service does not know who has called it, and is not handed anything for this: what it says is of the call that is
being answered, and of none where it works by itself.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec
from msgspec import Struct

MOST = 4000
"""Characters of all changes of a call."""


class Change(Struct, frozen=True, array_like=True):
    field: str
    old: object
    new: object


_CHANGES: ContextVar[list[Change] | None] = ContextVar("changes", default=None)


def changed(field: str, old: object, new: object) -> None:
    """Nothing is noted of what stays the same."""
    changes = _CHANGES.get()
    if changes is not None and old != new:
        changes.append(Change(field, old, new))


@contextmanager
def gathered() -> Generator[list[Change]]:
    """What is changed from here on, until it is left."""
    changes: list[Change] = []
    token = _CHANGES.set(changes)
    try:
        yield changes
    finally:
        _CHANGES.reset(token)


def told(changes: list[Change]) -> str:
    """As an entry of the audit has it: JSON, `[[FIELD, OLD, NEW], ...]`; values that would make it too long are left
    out. Empty for no changes."""
    if not changes:
        return ""
    text = msgspec.json.encode(changes).decode()
    if len(text) <= MOST:
        return text
    return msgspec.json.encode([Change(each.field, "…", "…") for each in changes[:50]]).decode()
