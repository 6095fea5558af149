"""Which of a model's arrays are the device's own: those whose names match a pattern (`fnmatch`)."""

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

from flip_runtime.errors import Rejected

T = TypeVar("T")

_SHOWN = 10


def is_local(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def local_names(names: Collection[str], patterns: Sequence[str]) -> list[str]:
    """Raises `Rejected` when a pattern matches none of them, or nothing would be left to share."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise Rejected(f"no array of the model is called {pattern!r}", hint=f"there are {_listed(names)}")
    local = [name for name in names if is_local(name, patterns)]
    if patterns and len(local) == len(names):
        raise Rejected(f"all arrays of the model would stay local: {_listed(names)}", hint="name fewer")
    return local


def split(arrays: Mapping[str, T], patterns: Sequence[str]) -> tuple[dict[str, T], dict[str, T]]:
    """What is shared, and what is local, each in the order of `arrays`. Raises `Rejected` as `local_names`."""
    local = set(local_names(arrays, patterns))
    shared = {name: array for name, array in arrays.items() if name not in local}
    return shared, {name: arrays[name] for name in arrays if name in local}


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(name[:80] for name in list(names)[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
