"""Which replies a ServerApp has: on disk before anybody counts on them, whether or not the hub and its registry are up.

A run has one folder, named by the hub's id of it, with its journal and its checkpoints (`checkpoint`). The ServerApp's
process writes them; the hub reads them, and closes the journal before it calls the run ended. A reply counts as taken
when a checkpoint holds what came of it, in an app that loops by itself when the app is given it: then a line in the
journal, or the checkpoint's own head, says so. What comes after the journal was closed is refused. So of each reply one
thing is true for ever: the run has it and its folder says so, or it is late. That holds when the process is killed
between any two instructions, when another one takes its place, and when no report of it ever reaches the hub.

A line is a message's id. A last line without its end was cut off by a crash: nobody has seen that reply. What one look
at the SuperLink gave is added in one write and one flush.
"""

import asyncio
import fcntl
import logging
import os
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from flip_hub.federation.checkpoint import SUFFIX, Checkpoints, read_taken
from flip_hub.settings import Settings
from flip_runtime.errors import Rejected

log = logging.getLogger("flwr.flip")

_FOLDER = "runs"
ENDED_KEPT = 20
"""Runs that are over and whose checkpoints another run may still begin after."""
_JOURNAL = "journal"
_ALIVE = "alive"
_CLOSED = 0o400
"""The mode says it: a hub that is killed while it closes one goes on where it was."""


def runs_in(settings: Settings) -> Path:
    """The folder of all runs: where several hubs share one for artifacts, in it, so that whoever takes over has it."""
    return (settings.artifacts.folder or settings.hub.state) / _FOLDER


class Journal:
    """The ServerApp's end. Used by one thread."""

    def __init__(self, folder: Path) -> None:
        """Returns when no other ServerApp of that run lives any more."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self._alive = _only_one(folder / _ALIVE)
        self._file = os.open(folder / _JOURNAL, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._unwritten = b""

    def add(self, *message_ids: str) -> None:
        """Returns when all are on disk. Raises `Rejected`, with none of them in it, when the hub has ended the run.

        On a full disk the run goes on: the ids are written with the next ones, and told by reports as ever.
        """
        if not message_ids:
            return
        self._unwritten += b"".join(message_id.encode() + b"\n" for message_id in message_ids)
        with self.still_open():
            try:
                while self._unwritten:
                    self._unwritten = self._unwritten[os.write(self._file, self._unwritten) :]
                os.fdatasync(self._file)
            except OSError as error:
                log.warning("replies cannot be noted on disk, only reported: %s", error)

    @contextmanager
    def still_open(self) -> Generator[None]:
        """While the hub cannot close it. Raises `Rejected` when it has."""
        with _locked(self._file):
            if stat.S_IMODE(os.fstat(self._file).st_mode) == _CLOSED:
                raise Rejected("the run has ended", hint="devices give such replies to the hub as late ones")
            yield

    def close(self) -> None:
        """The process ends by itself, well or not: nobody shall take it for one that was killed."""
        (self.folder / _ALIVE).unlink(missing_ok=True)
        os.close(self._file)
        os.close(self._alive)


class Journals:
    """The hub's end, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, _Read] = {}

    def holds(self, run_id: str, message_id: str) -> bool:
        """Whether the ServerApp of that run has taken the reply to that message."""
        read = self._read.setdefault(run_id, _Read())
        with self._open(run_id) as file:
            if file is not None:
                read.take_in(file)
        read.take_in_checkpoints(self._folder / run_id)
        return message_id in read.ids

    def checkpoints(self, run_id: str) -> Checkpoints:
        """They stay for some runs longer, for others to begin with."""
        return Checkpoints(self._folder / run_id)

    def dead(self, run_id: str) -> bool:
        """Whether a ServerApp of that run was killed, and no other lives now."""
        try:
            alive = os.open(self._folder / run_id / _ALIVE, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            os.close(alive)

    async def close(self, run_id: str) -> list[str]:
        """Which replies the run's ServerApp has; from now on it gets no more. As often as one likes, until `remove`."""
        with self._open(run_id) as file:
            if file is None:
                return []
            await asyncio.to_thread(_close, file)
            self.holds(run_id, "")
            return sorted(self._read[run_id].ids)

    def remove(self, run_id: str) -> None:
        """When what `close` gave is in the registry. Checkpoints stay, those of the newest `ENDED_KEPT` runs."""
        self._read.pop(run_id, None)
        if not run_id or not (self._folder / run_id).is_dir():
            return
        for path in (self._folder / run_id).iterdir():
            if not path.name.endswith(SUFFIX):
                path.unlink(missing_ok=True)
        for folder in self._ended()[:-ENDED_KEPT]:
            shutil.rmtree(folder, ignore_errors=True)

    def _ended(self) -> list[Path]:
        """Folders of runs that are over, the one that ended first first."""
        over = [folder for folder in self._folder.iterdir() if not (folder / _JOURNAL).exists()]
        return sorted(over, key=lambda folder: folder.stat().st_mtime)

    @contextmanager
    def _open(self, run_id: str) -> Generator[int | None]:
        """None while there is none."""
        if not run_id:
            yield None
            return
        try:
            file = os.open(self._folder / run_id / _JOURNAL, os.O_RDONLY)
        except FileNotFoundError:
            yield None
            return
        try:
            yield file
        finally:
            os.close(file)


class _Read:
    """What was found in one run's folder so far."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self._size = 0
        self._checkpoints: set[str] = set()

    def take_in(self, file: int) -> None:
        fresh = os.pread(file, os.fstat(file).st_size - self._size, self._size)
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._size += len(whole)
        self.ids.update(whole.decode("ascii", "replace").split())

    def take_in_checkpoints(self, folder: Path) -> None:
        for path in folder.glob(f"*{SUFFIX}"):
            if path.name not in self._checkpoints:
                self._checkpoints.add(path.name)
                self.ids.update(read_taken(path))


def _only_one(path: Path) -> int:
    """The file, locked for as long as this process lives. One that ends by itself removes it, also from under those
    that wait for its lock."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(file).st_ino:
                return file
        os.close(file)


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
