"""The one ArrayRecord of a message, what hides it needs of it, and records of `context.state` that no app sees."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from flwr.app import Array, ArrayRecord, ConfigRecord, Context, MetricRecord, RecordDict

from flip_runtime.errors import Rejected

_FLOATS = ("float32", "float64")

Record = ArrayRecord | ConfigRecord | MetricRecord


def arrays_of(content: RecordDict) -> tuple[str, ArrayRecord] | None:
    """With its name; None when there is none. Raises `Rejected` when there are several."""
    found = list(content.array_records.items())
    if len(found) > 1:
        names = ", ".join(name[:80] for name, _ in found)
        raise Rejected(f"{len(found)} records of arrays: {names}", hint="this run's form of updates is for one")
    return found[0] if found else None


@contextmanager
def hidden(context: Context, name: str) -> Generator[Record | None]:
    """That record of `context.state`, which is not there meanwhile, and is again afterwards unless there is another."""
    record = context.state.pop(name, None)
    try:
        yield record
    finally:
        if record is not None:
            context.state.setdefault(name, record)


def need_same(arrays: ArrayRecord, base: Mapping[str, Array]) -> None:
    """Raises `Rejected` that names what differs, or what nothing can hide."""
    for name in [*base, *arrays]:
        if name not in base or name not in arrays:
            raise Rejected(f"{name!r} is not both in the instruction's arrays and in the app's reply")
        if arrays[name].dtype not in _FLOATS:
            raise Rejected(f"{name} is {arrays[name].dtype}: only float32 and float64 can be private")
        if (arrays[name].dtype, tuple(arrays[name].shape)) != (base[name].dtype, tuple(base[name].shape)):
            raise Rejected(f"{name} of the app's reply has another type or shape than the instruction's")
