"""When `flip-agent train` is to be started, by whoever starts it."""

from pathlib import Path

from flip_agent.reported import Reported
from flip_agent.watched import Watched
from flip_wire.fleet import DesiredState

_CUT_OFF = "session.db-wal"
"""SQLite leaves it in the state folder only when `train` has not closed its file."""


async def work_waits(state: Path, desired: Watched[DesiredState], reported: Reported) -> None:
    """Returns while the hub announces work, or a session was cut off that has something to deliver, and nobody does it:
    a person may have started `train`."""
    if not (state / _CUT_OFF).exists():
        await desired.until(lambda wanted: bool(wanted.work))
    await reported.in_session.until(lambda there: not there)
