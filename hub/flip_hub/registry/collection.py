"""How one collection of the registry is declared: its indexes, what its documents may be, how long they are kept."""

from typing import Any, Literal

from msgspec import Struct

from flip_hub.registry.shape import Schema

ASCENDING, DESCENDING = 1, -1


class Index(Struct, frozen=True, kw_only=True):
    keys: tuple[tuple[str, int], ...]
    unique: bool = False
    sparse: bool = False
    """Documents that lack the field are left out; those where it is null are not."""
    where: dict[str, Any] | None = None
    """Only documents that match are in it."""
    kept: int | None = None
    """Seconds after the date in its one field that a document is deleted."""

    @property
    def name(self) -> str:
        """As MongoDB names it."""
        return "_".join(f"{field}_{direction}" for field, direction in self.keys)

    @property
    def options(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.unique:
            options["unique"] = True
        if self.sparse:
            options["sparse"] = True
        if self.where is not None:
            options["partialFilterExpression"] = self.where
        if self.kept is not None:
            options["expireAfterSeconds"] = self.kept
        return options


class TimeSeries(Struct, frozen=True, kw_only=True):
    """A collection that MongoDB keeps in buckets by time; it has no unique index and no validator."""

    at: str
    """The field with the date."""
    of: str
    """The field that says whose the sample is."""
    granularity: Literal["seconds", "minutes", "hours"]
    kept: int
    """Seconds."""


class Collection(Struct, frozen=True, kw_only=True):
    name: str
    indexes: tuple[Index, ...] = ()
    schema: Schema | None = None
    """What MongoDB refuses documents by; only a time series has none."""
    series: TimeSeries | None = None


def index(*keys: str, unique: bool = False, sparse: bool = False, where: dict[str, Any] | None = None) -> Index:
    """A key that begins with `-` is descending."""
    pairs = tuple((key.removeprefix("-"), DESCENDING if key.startswith("-") else ASCENDING) for key in keys)
    return Index(keys=pairs, unique=unique, sparse=sparse, where=where)


def kept(field: str, seconds: int) -> Index:
    """Deletes each document so many seconds after the date in that field."""
    return Index(keys=((field, ASCENDING),), kept=seconds)
