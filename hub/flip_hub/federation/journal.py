"""Which replies a ServerApp has: on disk before the app sees them, whether or not the hub or its registry is there.

A run has one journal, a file named by Flower's number of it. The ServerApp's process writes it; the hub reads it, and
closes it before it calls the run ended. What comes after that is refused to the app. So of each reply one thing is
true for ever: the app has it and the journal says so, or the app never sees it and it is late. That holds when the
process is killed between any two instructions, and when no report of it ever reaches the hub.

A line is a message's id. A last line without its end was cut off by a crash: the app has not seen that reply. What one
look at the SuperLink gave is added in one write and one flush.
"""

import asyncio
import fcntl
import logging
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from flip_hub.settings import Settings
from flip_runtime.errors import Rejected

log = logging.getLogger("flwr.flip")

_FOLDER = "journals"
_CLOSED = 0o400
"""The mode says it: a hub that is killed while it closes one goes on where it was."""


def journals_in(settings: Settings) -> Path:
    """Their folder: where several hubs share one for artifacts, in it, so that whoever takes over has them."""
    return (settings.artifacts.folder or settings.hub.state) / _FOLDER


class Journal:
    """The ServerApp's end. Used by one thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._unwritten = b""

    def add(self, *message_ids: str) -> None:
        """Returns when all are on disk. Raises `Rejected`, with none of them in it, when the hub has ended the run.

        On a full disk the run goes on: the ids are written with the next ones, and told by reports as ever.
        """
        if not message_ids:
            return
        self._unwritten += b"".join(message_id.encode() + b"\n" for message_id in message_ids)
        with _locked(self._file):
            if stat.S_IMODE(os.fstat(self._file).st_mode) == _CLOSED:
                raise Rejected("the run has ended", hint="devices give such replies to the hub as late ones")
            try:
                while self._unwritten:
                    self._unwritten = self._unwritten[os.write(self._file, self._unwritten) :]
                os.fdatasync(self._file)
            except OSError as error:
                log.warning("replies cannot be noted on disk, only reported: %s", error)

    def close(self) -> None:
        os.close(self._file)


class Journals:
    """The hub's end, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, _Read] = {}

    def holds(self, flower_run_id: str, message_id: str) -> bool:
        """Whether the ServerApp of that run has the reply to that message."""
        with self._open(flower_run_id) as file:
            return file is not None and message_id in self._take_in(flower_run_id, file)

    async def close(self, flower_run_id: str) -> list[str]:
        """Which replies the run's ServerApp has; from now on it gets no more. As often as one likes, until `remove`."""
        with self._open(flower_run_id) as file:
            if file is None:
                return []
            await asyncio.to_thread(_close, file)
            return sorted(self._take_in(flower_run_id, file))

    def remove(self, flower_run_id: str) -> None:
        """When what `close` gave is in the registry."""
        self._read.pop(flower_run_id, None)
        if flower_run_id:
            (self._folder / flower_run_id).unlink(missing_ok=True)

    @contextmanager
    def _open(self, flower_run_id: str) -> Generator[int | None]:
        """None while there is none."""
        if not flower_run_id:
            yield None
            return
        try:
            file = os.open(self._folder / flower_run_id, os.O_RDONLY)
        except FileNotFoundError:
            yield None
            return
        try:
            yield file
        finally:
            os.close(file)

    def _take_in(self, flower_run_id: str, file: int) -> set[str]:
        """Reads what has come since the last look."""
        read = self._read.setdefault(flower_run_id, _Read())
        fresh = os.pread(file, os.fstat(file).st_size - read.size, read.size)
        whole = fresh[: fresh.rfind(b"\n") + 1]
        read.size += len(whole)
        read.ids.update(whole.decode("ascii", "replace").split())
        return read.ids


class _Read:
    def __init__(self) -> None:
        self.size = 0
        self.ids: set[str] = set()


@contextmanager
def _locked(file: int) -> Generator[None]:
    """Against the other process. Held for one write, or one change of the mode."""
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _close(file: int) -> None:
    with _locked(file):
        os.fchmod(file, _CLOSED)
