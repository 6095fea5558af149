"""Where the time of a message went: true times, or none."""

from pathlib import Path

import msgspec
import pytest

from flip_agent.federation.flower import Instruction, Reply
from flip_agent.federation.session_store import SessionStore
from flip_agent.federation.steps import Step
from flip_agent.federation.timeline import Mark, spans_of
from flip_wire.spans import MOST_TEXT, Span, Spans, span_id, trace_of_message
from flip_wire.telemetry import SessionEvent, Stamp

END = SessionEvent(run_id="7", message_id="m1", step="delivered")
WALL = 1_700_000_000.0
STEPS = [Step.PULLED, Step.CONFIRMED, Step.TRAINING, Step.READY, Step.PUSHED]


def mark(at: float, *, boot: str = "b1", life: str = "l1", wall: float = WALL, error: str = "") -> Mark:
    """`at` seconds after the message came."""
    stamp = Stamp(wall=wall + at, monotonic=500.0 + at, boot_id=boot)
    return Mark(at=stamp, life=life, error=error)


def parts(spans: Spans | None) -> dict[str, Span]:
    return {} if spans is None else {span.name: span for span in spans.spans}


def at(*times: float) -> dict[Step, Mark]:
    return {step: mark(time) for step, time in zip(STEPS, times, strict=False)}


def test_each_part_lasts_until_the_next_begins_and_all_are_under_one_root() -> None:
    told = spans_of(at(0, 2, 5, 15, 16), mark(19), END)
    assert told is not None
    trace = trace_of_message("7", "m1")
    assert {span.trace_id for span in told.spans} == {trace}
    assert {span.parent_id for span in told.spans[1:]} == {told.spans[0].span_id} == {span_id(trace, "message")}
    assert {name: (span.start - WALL, span.duration) for name, span in parts(told).items()} == {
        "message": (0, 19),
        "receive": (0, 2),
        "wait": (2, 3),
        "train": (5, 10),
        "deliver": (15, 1),
        "settle": (16, 3),
    }
    assert told.spans[0].attributes == {"fate": "delivered"}


def test_what_nothing_held_has_not_waited() -> None:
    assert "wait" not in parts(spans_of(at(0, 2, 2.01, 15, 16), mark(19), END))


def test_a_refused_app_makes_the_receiving_fail() -> None:
    marks = {
        Step.PULLED: mark(0),
        Step.READY: mark(3, error="not signed"),
        Step.PUSHED: mark(4),
    }
    told = parts(spans_of(marks, mark(5), END))
    assert list(told) == ["message", "receive", "deliver", "settle"]
    assert [told[name].error for name in told] == ["not signed", "not signed", "", ""]


def test_what_the_process_did_not_live_through_is_marked() -> None:
    after = {Step.READY: mark(60, life="l2"), Step.PUSHED: mark(61, life="l2")}
    told = parts(spans_of({**at(0, 2, 5), **after}, mark(62, life="l2"), END))
    assert {name: span.attributes.get("interrupted", "") for name, span in told.items()} == {
        "message": "true",
        "receive": "",
        "wait": "",
        "train": "true",
        "deliver": "",
        "settle": "",
    }
    assert told["train"].duration == 55


def test_what_a_restart_of_the_machine_lies_in_is_left_out() -> None:
    """Nobody knows how long the power was off."""
    before = {Step.PULLED: mark(0), Step.CONFIRMED: mark(2), Step.TRAINING: mark(5)}
    after = {Step.READY: mark(60, boot="b2", life="l2"), Step.PUSHED: mark(61, boot="b2", life="l2")}
    told = parts(spans_of({**before, **after}, mark(64, boot="b2", life="l2"), END))
    assert {name: span.duration for name, span in told.items()} == {"receive": 2, "wait": 3, "deliver": 1, "settle": 3}


def test_a_clock_that_was_set_meanwhile_moves_no_span() -> None:
    marks = {**at(0, 2, 5), Step.READY: mark(15, wall=WALL + 3600), Step.PUSHED: mark(16, wall=WALL + 3600)}
    told = parts(spans_of(marks, mark(19, wall=WALL + 3600), END))
    assert [told[name].start - WALL - 3600 for name in ("message", "receive", "train", "deliver")] == [0, 0, 5, 15]


def test_a_message_of_which_the_beginning_is_not_known_makes_no_spans() -> None:
    assert spans_of({Step.READY: mark(0)}, mark(5), END) is None


def test_an_app_s_long_words_fit_into_a_span(folder: Path) -> None:
    with SessionStore(folder / "session.db") as store:
        store.accept(Instruction(run_id="7", node_id="1", message_id="m1", message=b"m", tree=b"t"))
        failed = SessionEvent(run_id="7", message_id="m1", step="failed", detail="x" * 5000)
        store.make_ready("m1", Reply(message=b"r", tree=b"t"), [], context=None, seconds=0, held=1.5, event=failed)
        store.advance("m1", Step.FORGOTTEN, END)
        told = store.events.oldest()[-1].event
    assert isinstance(told, Spans)
    assert msgspec.json.decode(msgspec.json.encode(told), type=Spans) == told
    assert [len(span.error) for span in told.spans] == [MOST_TEXT, MOST_TEXT, 0]


def test_the_next_process_goes_on_with_the_times_of_the_one_before(folder: Path) -> None:
    path = folder / "session.db"
    with SessionStore(path) as store:
        store.accept(Instruction(run_id="7", node_id="1", message_id="m1", message=b"m", tree=b"t"))
        store.advance("m1", Step.CONFIRMED)
        store.advance("m1", Step.TRAINING)
    with SessionStore(path) as store:
        store.make_ready("m1", Reply(message=b"r", tree=b"t"), [], context=None, seconds=0, held=1.5)
        store.advance("m1", Step.PUSHING)
        store.advance("m1", Step.PUSHED)
        store.advance("m1", Step.FORGOTTEN, END)
        (told,) = [kept for kept in store.events.oldest() if isinstance(kept.event, Spans)]
    assert isinstance(told.event, Spans)
    assert told.event.message_id == "m1"
    by_name = parts(told.event)
    assert by_name["train"].attributes == {"interrupted": "true", "paused": "1.500"}
    assert by_name["receive"].attributes == {}
    total = sum(by_name[name].duration for name in ("receive", "train", "deliver", "settle"))
    assert total == pytest.approx(by_name["message"].duration, abs=0.1)
