"""Refusals are listed up to a bound, and what goes beyond it is counted."""

from flip_hub.audit.refusals import ALL, EACH, WINDOW, Refusals


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_one_who_knocks_all_the_time_takes_nobody_elses_place() -> None:
    refusals = Refusals(Clock())
    assert sum(refusals.take("10.0.0.1") for _ in range(10_000)) == EACH
    assert refusals.take("10.0.0.2")


def test_all_together_are_bounded_and_the_others_are_counted_once_the_minute_has_passed() -> None:
    clock = Clock()
    refusals = Refusals(clock)
    assert sum(refusals.take(f"10.0.{number}.1") for number in range(1000)) == ALL
    assert refusals.unlisted() == 0
    assert refusals.due() == WINDOW
    clock.now += WINDOW
    assert refusals.unlisted() == 1000 - ALL
    assert refusals.due() is None
    assert refusals.unlisted() == 0
    assert refusals.take("10.0.0.1")


def test_a_count_that_nobody_has_asked_for_yet_is_not_forgotten() -> None:
    clock = Clock()
    refusals = Refusals(clock)
    for _ in range(EACH + 5):
        refusals.take("10.0.0.1")
    clock.now += 2 * WINDOW
    assert not refusals.take("10.0.0.1")
    assert refusals.unlisted() == 6
