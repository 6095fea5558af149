"""Which replies a ServerApp has is known for ever: processes are killed, the disk is full, the hub closes between."""

import asyncio
import itertools
import multiprocessing
import os
import resource
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from flip_hub.federation.checkpoint import Checkpoints, Place
from flip_hub.federation.journal import Journal, Journals
from flip_runtime.errors import Rejected

RUN = "9222247651284241900"
BATCH = 3
SPAWNED = multiprocessing.get_context("spawn")


@pytest.fixture
def journals(folder: Path) -> Journals:
    return Journals(folder / "journals")


@pytest.fixture
def journal(folder: Path) -> Iterator[Journal]:
    journal = Journal(folder / "journals" / RUN)
    yield journal
    journal.close()


def test_what_the_app_has_is_known_at_once_and_only_that(journal: Journal, journals: Journals) -> None:
    assert not journals.holds(RUN, "m1")
    journal.add("m1")
    assert journals.holds(RUN, "m1")
    journal.add("m2", "m3")
    assert journals.holds(RUN, "m2")
    assert journals.holds(RUN, "m3")
    assert not journals.holds(RUN, "m4")
    assert not journals.holds("another run", "m1")


def test_after_the_hub_has_closed_it_the_app_gets_no_more(journal: Journal, journals: Journals) -> None:
    journal.add("m1")
    assert asyncio.run(journals.close(RUN)) == ["m1"]
    with pytest.raises(Rejected, match="the run has ended"):
        journal.add("m2", "m3")
    assert asyncio.run(journals.close(RUN)) == ["m1"], "as after a hub that was killed here"
    journals.remove(RUN)
    assert asyncio.run(journals.close(RUN)) == []
    with pytest.raises(Rejected):
        journal.add("m4")


def test_a_run_without_a_journal_has_no_replies(journals: Journals) -> None:
    for run in (RUN, ""):
        assert not journals.holds(run, "m1")
        assert asyncio.run(journals.close(run)) == []
        journals.remove(run)


def test_a_line_that_a_crash_cut_off_is_no_reply(journal: Journal, journals: Journals, folder: Path) -> None:
    journal.add("m1")
    with (folder / "journals" / RUN / "journal").open("ab") as file:
        file.write(b"m2 cut o")
    assert not journals.holds(RUN, "m2")
    assert asyncio.run(journals.close(RUN)) == ["m1"]


def test_what_the_app_had_when_it_was_killed_is_known(journals: Journals, folder: Path) -> None:
    """At many moments: what `add` has returned for is there, and nothing that it was never called for."""
    for turn in range(8):
        run = f"{RUN}{turn}"
        with writing(folder / "journals" / run) as (process, returned):
            had: set[str] = set()
            while len(had) < 1 + 17 * turn:
                assert returned.poll(60)
                had |= returned.recv()
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
            had |= rest(returned)
        found = set(asyncio.run(journals.close(run)))
        assert had <= found
        assert len(found - had) <= BATCH, "those that it was about to give to the app"


def test_of_a_reply_that_comes_while_the_hub_closes_one_end_is_right(journals: Journals, folder: Path) -> None:
    with writing(folder / "journals" / RUN) as (process, returned):
        had = set[str]().union(*(returned.recv() for _ in range(20)))
        found = set(asyncio.run(journals.close(RUN)))
        had |= rest(returned)
        process.join(60)
        assert process.exitcode == 0, "it was refused, and ended"
    assert had == found


def test_on_a_full_disk_the_run_goes_on_and_what_it_had_is_noted_with_the_next(
    journals: Journals, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(folder / "journals" / RUN)
    journal.add("m1")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))  # the next line does not fit whole
    try:
        journal.add("m2", "m3")
        assert "cannot be noted" in caplog.text
        assert not journals.holds(RUN, "m2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    journal.add("m4")
    assert asyncio.run(journals.close(RUN)) == ["m1", "m2", "m3", "m4"]
    journal.close()


def test_of_runs_that_are_over_the_newest_keep_their_checkpoints_and_nothing_else(
    journals: Journals, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flip_hub.federation.journal.ENDED_KEPT", 2)
    paused = Journal(folder / "journals" / "paused")
    for number in range(4):
        journal = Journal(folder / "journals" / f"run-{number}")
        Checkpoints(journal.folder).write(Place(1, 1, True), [], [b"x"])
        (journal.folder / "dataset").touch()
        journal.close()
        os.utime(journal.folder, (number, number))
        asyncio.run(journals.close(f"run-{number}"))
        journals.remove(f"run-{number}")
    kept = {path.name: [each.name for each in path.iterdir()] for path in (folder / "journals").iterdir()}
    checkpoint = [Place(1, 1, True).name]
    assert kept.pop("paused")
    assert len(kept) == 2
    assert set(map(tuple, kept.values())) == {tuple(checkpoint)}
    assert "run-3" in kept
    paused.close()


class writing:
    """A process that adds replies, `BATCH` at a time, and says for which `add` has returned, until it is refused."""

    def __init__(self, path: Path) -> None:
        self._returned, end = SPAWNED.Pipe(duplex=False)
        self._process = SPAWNED.Process(target=_write, args=(path, end))
        self._process.start()
        end.close()

    def __enter__(self) -> tuple[BaseProcess, "Connection[set[str], set[str]]"]:
        return self._process, self._returned

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        self._returned.close()


def rest(returned: "Connection[set[str], set[str]]") -> set[str]:
    """What it says until it ends."""
    said: set[str] = set()
    while returned.poll(60):
        try:
            said |= returned.recv()
        except EOFError:
            return said
    raise TimeoutError("it neither ends nor says anything")


def _write(path: Path, returned: "Connection[set[str], set[str]]") -> None:
    journal = Journal(path)
    for number in itertools.count():
        batch = {f"m{number}.{part}" for part in range(BATCH)}
        try:
            journal.add(*batch)
        except Rejected:
            return
        returned.send(batch)
