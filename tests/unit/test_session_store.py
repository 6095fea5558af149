"""`session.db`: what was written is there for the next process, and one process at a time has it."""

import subprocess
import sys
from pathlib import Path

import pytest

from flip_agent.federation.flower import Instruction, Item, Reply, Run
from flip_agent.federation.session_store import SessionStore
from flip_agent.federation.steps import Step
from flip_runtime.errors import Unavailable

INSTRUCTION = Instruction(run_id=str(2**64 - 1), node_id="7", message_id="m1", message=b"head", tree=b"tree")
REPLY = Reply(message=b"reply", tree=b"reply tree")
RUN = Run(run_id=INSTRUCTION.run_id, fab_hash="f" * 64, overrides={"lr": 0.1, "on": True, "n": 1, "s": "x"})


def item(name: str, content: bytes = b"content") -> Item:
    return Item(object_id=name, content=content)


def test_a_message_is_found_again_by_the_next_process_with_the_step_it_was_at(folder: Path) -> None:
    with SessionStore(folder / "session.db") as store:
        store.keep_node("7")
        store.keep_run(RUN)
        store.accept(INSTRUCTION)
        store.keep_instruction_objects("m1", [item("a"), item("b")])
        store.advance("m1", Step.TRAINING)
    with SessionStore(folder / "session.db") as store:
        message = store.oldest()
        assert message is not None
        assert (message.instruction, message.step, message.reply) == (INSTRUCTION, Step.TRAINING, None)
        assert store.instruction_objects("m1") == {"a", "b"}
        assert store.instruction_object("m1", "b") == item("b")
        assert (store.node(), store.run(RUN.run_id)) == ("7", RUN)


def test_a_reply_is_kept_together_with_its_step_and_the_state_it_led_to(folder: Path) -> None:
    with SessionStore(folder / "session.db") as store:
        store.keep_run(RUN)
        store.accept(INSTRUCTION)
        store.keep_instruction_objects("m1", [item("in")])
        store.keep_reply_objects("m1", [item("early")])
        store.make_ready("m1", REPLY, [item("late")], context=b"state", seconds=1.5)
        message = store.oldest()
        assert message is not None
        assert (message.step, message.reply, message.seconds) == (Step.READY, REPLY, 1.5)
        assert store.reply_object("m1", "early") == item("early")
        assert store.reply_object("m1", "late") == item("late")
        assert store.instruction_objects("m1") == set()  # of no use any more
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
        assert store.oldest() is None
        with pytest.raises(LookupError):
            store.reply_object("m1", "out")


def test_a_message_that_comes_twice_is_accepted_once(folder: Path) -> None:
    with SessionStore(folder / "session.db") as store:
        store.accept(INSTRUCTION)
        store.advance("m1", Step.TRAINING)
        store.accept(INSTRUCTION)
        message = store.oldest()
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
        with pytest.raises(Unavailable, match="another flip-agent train"):
            SessionStore(path)
