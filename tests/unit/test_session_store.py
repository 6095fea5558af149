"""`session.db`: what was written is there for the next process, and one process at a time has it."""

import hashlib
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from flip_agent.durable_file import move_aside
from flip_agent.federation.flower import Instruction, Item, Reply, Run
from flip_agent.federation.session_store import SessionStore
from flip_agent.federation.steps import Step
from flip_runtime.errors import Corrupt, Unavailable
from flip_wire.spans import Spans
from flip_wire.telemetry import SessionEvent

INSTRUCTION = Instruction(run_id=str(2**64 - 1), node_id="7", message_id="m1", message=b"head", tree=b"tree")
REPLY = Reply(message=b"reply", tree=b"reply tree")
RUN = Run(run_id=INSTRUCTION.run_id, fab_hash="f" * 64, overrides={"lr": 0.1, "on": True, "n": 1, "s": "x"})


def item(content: str) -> Item:
    """Named by its hash, as Flower's objects are."""
    return Item(object_id=hashlib.sha256(content.encode()).hexdigest(), content=content.encode())


def key(content: str) -> str:
    return item(content).object_id


def test_a_message_is_found_again_by_the_next_process_with_the_step_it_was_at(folder: Path) -> None:
    with SessionStore(folder / "session.db") as store:
        store.keep_node("7")
        store.keep_run(RUN)
        store.accept(INSTRUCTION)
        store.objects.keep_of_instruction("m1", [item("a"), item("b")])
        store.advance("m1", Step.TRAINING)
    with SessionStore(folder / "session.db") as store:
        message = store.next()
        assert message is not None
        assert (message.instruction, message.step, message.reply) == (INSTRUCTION, Step.TRAINING, None)
        assert store.objects.of_instruction("m1") == {key("a"), key("b")}
        assert store.objects.in_instruction("m1", key("b")) == item("b")
        assert (store.node(), store.run(RUN.run_id)) == ("7", RUN)


def test_a_reply_is_kept_together_with_its_step_and_the_state_it_led_to(folder: Path) -> None:
    with SessionStore(folder / "session.db") as store:
        store.keep_run(RUN)
        store.accept(INSTRUCTION)
        store.objects.keep_of_instruction("m1", [item("in")])
        store.objects.keep_of_reply("m1", [item("early")])
        store.make_ready("m1", REPLY, [item("late")], context=b"state", seconds=1.5)
        message = store.next()
        assert message is not None
        assert (message.step, message.reply, message.seconds) == (Step.READY, REPLY, 1.5)
        assert store.objects.in_reply("m1", key("early")) == item("early")
        assert store.objects.in_reply("m1", key("late")) == item("late")
        assert store.objects.of_instruction("m1") == set()  # of no use any more
        assert store.context(RUN.run_id) == b"state"


def test_an_error_reply_leaves_the_state_of_the_run_as_it_was(folder: Path) -> None:
    with SessionStore(folder / "session.db") as store:
        store.keep_run(RUN)
        store.accept(INSTRUCTION)
        store.make_ready("m1", REPLY, [], context=b"state", seconds=0)
        store.make_ready("m1", REPLY, [], context=None, seconds=0)
        assert store.context(RUN.run_id) == b"state"


def test_a_message_forgotten_goes_with_its_objects(folder: Path) -> None:
    with SessionStore(folder / "session.db") as store:
        store.accept(INSTRUCTION)
        store.make_ready("m1", REPLY, [item("out")], context=None, seconds=0)
        store.advance("m1", Step.FORGOTTEN)
        assert store.next() is None
        with pytest.raises(Corrupt):
            store.objects.in_reply("m1", key("out"))


def test_a_message_that_comes_twice_is_accepted_once(folder: Path) -> None:
    with SessionStore(folder / "session.db") as store:
        store.accept(INSTRUCTION)
        store.advance("m1", Step.TRAINING)
        store.accept(INSTRUCTION)
        message = store.next()
        assert message is not None
        assert message.step is Step.TRAINING


def test_only_the_latest_runs_are_kept_but_never_without_one_in_progress(folder: Path) -> None:
    with SessionStore(folder / "session.db") as store:
        store.keep_run(RUN)
        store.accept(INSTRUCTION)
        for number in range(40):
            store.keep_run(Run(run_id=str(number), fab_hash=f"{number:064d}", overrides={}))
        assert store.run("0") is None
        assert store.run("39") is not None
        assert store.run(RUN.run_id) == RUN
        assert len(store.apps_in_use()) == 17


def test_a_second_process_is_refused(folder: Path) -> None:
    path = folder / "session.db"
    holder = (
        "import sys, sqlite3; from pathlib import Path; from flip_agent.federation.session_store import SessionStore\n"
    )
    holder += f"store = SessionStore(Path({str(path)!r})); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-W", "ignore", "-c", holder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"open\n"
        with pytest.raises(Unavailable, match="another process has it open"):
            SessionStore(path)


def damage(path: Path, statement: str) -> None:
    """As a disk does: behind the back of the store."""
    with sqlite3.connect(path) as db:
        assert db.execute(statement).rowcount > 0
    db.close()


def test_an_object_that_the_disk_has_damaged_is_never_used(folder: Path) -> None:
    path = folder / "session.db"
    with SessionStore(path) as store:
        store.accept(INSTRUCTION)
        store.objects.keep_of_instruction("m1", [item("in")])
        store.objects.keep_of_reply("m1", [item("out")])
    damage(path, "update object set content = x'00' || content")
    with SessionStore(path) as store:
        with pytest.raises(Corrupt, match="instruction was damaged"):
            store.objects.in_instruction("m1", key("in"))
        with pytest.raises(Corrupt, match="reply was damaged"):
            store.objects.in_reply("m1", key("out"))


@pytest.mark.parametrize("column", ["message", "tree", "run_id", "node_id", "step"])
def test_a_damaged_message_is_reported_and_the_next_one_taken(folder: Path, column: str) -> None:
    path = folder / "session.db"
    with SessionStore(path) as store:
        store.accept(INSTRUCTION)
        store.accept(replace(INSTRUCTION, message_id="m2"))
    damage(path, f"update message set {column} = 'broken' where message_id = 'm1'")  # noqa: S608
    with SessionStore(path) as store:
        message = store.next()
        assert message is not None
        assert message.instruction.message_id == "m2"
        (told,) = store.events.oldest()
        assert isinstance(told.event, SessionEvent)
        assert (told.event.message_id, told.event.step) == ("m1", "failed")
        assert "damaged" in told.event.detail


def test_a_damaged_reply_is_none(folder: Path) -> None:
    path = folder / "session.db"
    with SessionStore(path) as store:
        store.accept(INSTRUCTION)
        store.make_ready("m1", REPLY, [], context=None, seconds=0)
    damage(path, "update message set reply = 'broken'")
    with SessionStore(path) as store:
        message = store.next()
        assert message is not None
        assert (message.step, message.reply) == (Step.READY, None)


def test_a_damaged_state_of_a_run_is_not_given_to_its_app(folder: Path) -> None:
    path = folder / "session.db"
    with SessionStore(path) as store:
        store.keep_run(RUN)
        store.accept(INSTRUCTION)
        store.make_ready("m1", REPLY, [], context=b"state", seconds=0)
    damage(path, "update run set context = x'00'")
    with SessionStore(path) as store, pytest.raises(Corrupt, match="state"):
        store.context(RUN.run_id)


def test_a_file_that_is_no_database_or_of_another_layout_is_corrupt(folder: Path) -> None:
    path = folder / "session.db"
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(Corrupt, match="cannot be read"):
        SessionStore(path)
    move_aside(path)
    assert (folder / "session.db.damaged").exists()
    SessionStore(path).__exit__()
    damage(path, "insert into node (one, node_id) values (1, '7')")
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 1")
    db.close()
    with pytest.raises(Corrupt, match="layout 1"):
        SessionStore(path)


def test_a_full_disk_is_unavailable_and_leaves_everything_as_it_was(folder: Path) -> None:
    path = folder / "session.db"
    with SessionStore(path) as store:
        store.accept(INSTRUCTION)
        with full(path), pytest.raises(Unavailable, match="make room"):
            store.objects.keep_of_reply("m1", [item("x" * 10_000_000)])
        assert store.next() is not None
        store.objects.keep_of_reply("m1", [item("x" * 10_000_000)])
        assert store.objects.in_reply("m1", key("x" * 10_000_000)).content


@contextmanager
def full(path: Path) -> Generator[None]:
    """No file of this process may grow beyond a megabyte: a write fails as on a disk without room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_event_is_written_with_its_step_and_kept_until_it_is_dropped(folder: Path) -> None:
    path = folder / "session.db"
    event = SessionEvent(run_id="1", message_id="m1", step="pulled")
    with SessionStore(path) as store:
        store.accept(INSTRUCTION)
        store.advance("m1", Step.CONFIRMED, event)
        store.advance("m1", Step.FORGOTTEN, replace(event, step="delivered"))
    with SessionStore(path) as store:
        kept = store.events.oldest()
        assert [each.event for each in kept[:2]] == [event, replace(event, step="delivered")]
        assert [type(each.event) for each in kept[2:]] == [Spans]
        store.events.drop([kept[0].number])
        assert store.events.oldest() == kept[1:]


def test_replies_that_wait_for_their_fate_do_not_hold_up_the_next_message(folder: Path) -> None:
    with SessionStore(folder / "session.db") as store:
        for name, step in (("m1", Step.PUSHED), ("m2", Step.LATE), ("m3", Step.CONFIRMED)):
            store.accept(replace(INSTRUCTION, message_id=name))
            store.advance(name, step, late="too late" if step is Step.LATE else "")
        message = store.next()
        assert message is not None
        assert message.instruction.message_id == "m3"
        assert [(m.instruction.message_id, m.late) for m in store.unsettled(10)] == [("m1", ""), ("m2", "too late")]


def test_what_the_hub_has_of_an_upload_is_known_after_a_restart(folder: Path) -> None:
    path = folder / "session.db"
    with SessionStore(path) as store:
        store.accept(INSTRUCTION)
        store.make_ready("m1", REPLY, [item("a"), item("b")], context=None, seconds=0)
        store.objects.keep_uploaded("m1", "upload 1", [key("a")])
    with SessionStore(path) as store:
        assert store.objects.uploaded("m1", "upload 1") == {key("a")}
        assert store.objects.uploaded("m1", "upload 2") == set()
