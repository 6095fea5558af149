"""One look of the doctor that fails or hangs takes no other with it."""

import threading
from collections.abc import Iterator

from flip_agent.looks import Beside, Verdict, found
from flip_runtime.errors import Unavailable

WELL = Verdict(subject="hub", state="ok", text="answers")


def fails() -> Iterator[Verdict]:
    raise Unavailable("nobody there", hint="start it")


def breaks() -> Iterator[Verdict]:
    raise OverflowError("bind(): port must be 0-65535")


def test_a_look_that_fails_is_a_verdict_with_its_reason() -> None:
    (verdict,) = found("hub", fails)
    assert (verdict.subject, verdict.state) == ("hub", "critical")
    assert verdict.text == "nobody there (start it)"


def test_a_look_that_breaks_is_a_verdict_too() -> None:
    (verdict,) = found("port", breaks)
    assert not verdict.good
    assert "OverflowError: bind(): port must be 0-65535" in verdict.text


def test_a_look_beside_the_others_is_waited_for() -> None:
    assert Beside("hub", "the hub", lambda: [WELL], within=60.0).found() == [WELL]


def test_a_look_that_hangs_is_given_up() -> None:
    answered = threading.Event()

    def hangs() -> Iterator[Verdict]:
        answered.wait(60.0)
        yield WELL

    try:
        (verdict,) = Beside("hub", "http://hub.example", hangs, within=0.05).found()
    finally:
        answered.set()
    assert (verdict.subject, verdict.state) == ("hub", "warning")
    assert "http://hub.example did not answer within 0.05 s" in verdict.text
