"""How a registry of an earlier schema version becomes one of this version; each step is numbered and taken once.

A step runs while no other hub prepares the registry, before the validators and indexes of this version are set. It may
have been cut off by a crash and begin again: it must then come to the same end. A hub of the version before may still
be writing while it runs. Version 1 is every registry from before versions were kept.
"""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from flip_hub.mongo import Database

OLDEST = 1


class Migration(Struct, frozen=True, kw_only=True):
    to: int
    """The schema version that a registry has afterwards."""
    why: str
    """For the log."""
    step: Callable[[Database], Awaitable[None]]


MIGRATIONS: tuple[Migration, ...] = ()


def version_of(migrations: tuple[Migration, ...]) -> int:
    """That a hub with these migrations makes."""
    return migrations[-1].to if migrations else OLDEST
