"""The newest of every log of this device, compressed, and small enough to travel: collected in a short-lived process,
so that `run` stays as small as it is.

`python -m flip_agent.actions.logs STATE FILE...` prints the zstd of a text with a head for each log: those in the state
folder, the FILEs, and the journal where systemd keeps one.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import zstandard

from flip_agent.actions.logs_of_units import UNITS
from flip_wire.actions import MOST_LOG

_MOST_OF_EACH = 512 * 2**10
"""Bytes; halved until all of it is small enough."""
_JOURNAL = (
    *("journalctl", "--no-pager", "--output=short-iso", "--lines=5000"),
    *UNITS,
)
_JOURNAL_WITHIN = 30.0
"""Seconds."""


def collected(state: Path, others: list[Path], most: int = MOST_LOG) -> bytes:
    """At most `most` bytes."""
    logs = list(_logs(state, others))
    each = _MOST_OF_EACH
    while True:
        text = b"\n".join(b"==== %s ====\n%s" % (name.encode(), content[-each:]) for name, content in logs)
        packed = zstandard.ZstdCompressor(level=9).compress(text)
        if len(packed) <= most:
            return packed
        each //= 2


def _logs(state: Path, others: list[Path]) -> Iterator[tuple[str, bytes]]:
    for path in [*sorted((state / "logs").glob("*.log*")), *others]:
        yield path.name, _tail(path)
    if shutil.which(_JOURNAL[0]):
        yield "journal", _journal()


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _MOST_OF_EACH))
            return file.read(_MOST_OF_EACH)
    except OSError as error:
        return f"(cannot be read: {error.strerror})".encode()


def _journal() -> bytes:
    try:
        done = subprocess.run(_JOURNAL, capture_output=True, timeout=_JOURNAL_WITHIN, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"(cannot be read: {error})".encode()
    return done.stdout[-_MOST_OF_EACH:] or done.stderr[-1000:]


if __name__ == "__main__":
    sys.stdout.buffer.write(collected(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
