"""The one ArrayRecord of a message, and records of `context.state` that no app sees."""

from collections.abc import Generator
from contextlib import contextmanager

from flwr.app import ArrayRecord, ConfigRecord, Context, MetricRecord, RecordDict

from flip_runtime.errors import Rejected

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
