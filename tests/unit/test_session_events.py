"""Session events in `session.db`: each is handed over, or counted in a loss, whatever happens to the file."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flip_agent.federation.session_events import AT_ONCE, DAMAGED, KEPT, OUTNUMBERED, REFUSED
from flip_agent.federation.session_store import SessionStore
from flip_wire.telemetry import SessionEvent

ORIGINAL = """
create table node (one integer primary key check (one = 1), node_id text not null);
create table event (number integer primary key autoincrement, once text not null, body blob not null);
insert into event (once, body) values ('m1:pulled', '{"run_id":"1","message_id":"m1","step":"pulled"}');
update event set body = cast(body as blob);
pragma user_version = 2;
"""
"""As the first version made it, the tables that matter here."""


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "session.db"


def event(number: int) -> SessionEvent:
    return SessionEvent(run_id="1", message_id=f"m{number}", step="trained")


def fill(store: SessionStore, numbers: range) -> None:
    for number in numbers:
        store.events.keep(event(number))


def handed_over(store: SessionStore) -> list[str]:
    """Takes everything, as `run` does; gives the messages."""
    names: list[str] = []
    while events := store.events.oldest():
        names += [kept.event.message_id for kept in events]
        store.events.drop([kept.number for kept in events])
    return names


def test_beyond_the_limit_the_oldest_go_that_cannot_be_on_their_way_and_are_counted(path: Path) -> None:
    with SessionStore(path, events_kept=40) as store:
        fill(store, range(100))
        (loss,) = store.events.losses()
        assert (loss.count, loss.reason) == (60, OUTNUMBERED)
        kept = [*range(AT_ONCE), *range(92, 100)]
        assert handed_over(store) == [f"m{number}" for number in kept]


def test_no_more_wait_than_the_limit_of_a_real_session(path: Path) -> None:
    with SessionStore(path) as store:
        with vars(store)["_file"].transaction() as db:
            for number in range(KEPT + 100):
                store.events.keep_with(db, event(number))
        (loss,) = store.events.losses()
        assert (loss.count, len(handed_over(store))) == (100, KEPT)


def test_a_loss_that_was_looked_at_does_not_grow_and_is_there_until_it_is_declared(path: Path) -> None:
    with SessionStore(path, events_kept=40) as store:
        fill(store, range(50))
        (first,) = store.events.losses()
    with SessionStore(path, events_kept=40) as store:
        fill(store, range(50, 55))
        again, second = store.events.losses()
        assert again == first
        assert second.count == 5
        store.events.declared(first)
        assert store.events.losses() == [second]
        store.events.declared(second)
        assert store.events.losses() == []


def test_a_loss_that_begins_the_moment_others_were_closed_is_declared_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step that is written next, by another thread, need not wait for more than the write that closes."""
    with SessionStore(path, events_kept=40) as store:
        fill(store, range(41))
        file = vars(store)["_file"]
        transaction = file.transaction

        @contextmanager
        def with_one_more_behind() -> Generator[sqlite3.Connection]:
            with transaction() as db:
                yield db
            monkeypatch.undo()
            store.events.keep(event(41))

        monkeypatch.setattr(file, "transaction", with_one_more_behind)
        looked_at = store.events.losses()
        fill(store, range(42, 50))
        for loss in looked_at:
            store.events.declared(loss)
        counts = [loss.count for loss in [*looked_at, *store.events.losses()]]
        assert counts == [1, 9]


def test_what_run_would_not_take_is_counted(path: Path) -> None:
    with SessionStore(path) as store:
        fill(store, range(3))
        refused = store.events.oldest()[1]
        store.events.lose([refused.number], REFUSED)
        (loss,) = store.events.losses()
        assert (loss.count, loss.reason) == (1, REFUSED)
        assert len(handed_over(store)) == 2


@pytest.mark.parametrize("column", ["body", "once", "crc"])
def test_an_event_that_the_disk_has_damaged_is_counted_and_the_others_arrive(path: Path, column: str) -> None:
    with SessionStore(path) as store:
        fill(store, range(5))
    with sqlite3.connect(path) as db:
        db.execute(f"update event set {column} = replace({column}, substr({column}, -2), 'x') where number = 3")  # noqa: S608
    db.close()
    with SessionStore(path) as store:
        assert handed_over(store) == [f"m{n}" for n in (0, 1, 3, 4)]
        (loss,) = store.events.losses()
        assert (loss.count, loss.reason) == (1, DAMAGED)


def test_when_all_are_damaged_none_is_given_and_all_are_counted(path: Path) -> None:
    with SessionStore(path) as store:
        fill(store, range(AT_ONCE + 5))
    with sqlite3.connect(path) as db:
        db.execute("update event set crc = crc + 1")
    db.close()
    with SessionStore(path) as store:
        assert store.events.oldest() == []
        assert [loss.count for loss in store.events.losses()] == [AT_ONCE + 5]


def test_a_loss_of_unknown_size_is_declared_as_such(path: Path) -> None:
    with SessionStore(path) as store:
        store.events.lose_unknown("number unknown: session.db was damaged")
    with SessionStore(path) as store:
        (loss,) = store.events.losses()
        assert (loss.count, loss.reason) == (0, "number unknown: session.db was damaged")


@pytest.mark.parametrize("message_id", ["", "m1"])
def test_each_event_has_a_name_of_its_own_that_outlives_the_process(path: Path, message_id: str) -> None:
    with SessionStore(path) as store:
        for _ in range(2):
            store.events.keep(SessionEvent(run_id="1", message_id=message_id, step="failed"))
        names = [kept.once for kept in store.events.oldest()]
    with SessionStore(path) as store:
        assert [kept.once for kept in store.events.oldest()] == names
    assert len(set(names)) == 2
    assert all(names)


def test_a_file_of_the_first_version_goes_on_with_its_events(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.executescript(ORIGINAL)
    db.close()
    for _ in range(2):
        with SessionStore(path, events_kept=40) as store:
            assert store.events.oldest()[0].event == SessionEvent(run_id="1", message_id="m1", step="pulled")
            assert store.events.losses() == []
    with SessionStore(path, events_kept=40) as store:
        fill(store, range(40))
        assert [loss.count for loss in store.events.losses()] == [1]
