"""A day's bytes are counted before they pass, over kills too; each use gets what the others leave, alerts a reserve."""

import threading
from pathlib import Path

import msgspec
import pytest

from flip_agent.network.day_account import DAY, FILE, DayAccount, Spent, Use
from flip_agent.network.day_budget import BudgetUsedUp, DayBudget, Limits

MIB = 2**20


class Clock:
    def __init__(self) -> None:
        self.day = 20_000

    def __call__(self) -> float:
        return self.day * float(DAY) + 5.0


def a_budget(folder: Path, total: int = 0, models: int = 0, clock: Clock | None = None) -> DayBudget:
    return DayBudget(DayAccount(folder / FILE, clock or Clock()), lambda: Limits(total, models))


def spent(folder: Path) -> dict[Use, int]:
    return msgspec.json.decode((folder / FILE).read_bytes(), type=Spent).bytes


def test_what_comes_is_counted_before_it_comes_in_few_writes(folder: Path) -> None:
    budget = a_budget(folder, models=64 * MIB)
    written: list[int] = []
    for _ in range(16 * 4):
        budget.take(64 * 1024)
        written.append(spent(folder)[Use.MODELS])
    assert sorted(set(written)) == [MIB, 2 * MIB, 3 * MIB, 4 * MIB]
    budget.take(10)
    budget.settle()
    assert spent(folder) == {Use.MODELS: 4 * MIB + 10}
    assert budget.left() == 60 * MIB - 10


def test_a_kill_wastes_at_most_a_portion_and_never_overspends(folder: Path) -> None:
    a_budget(folder, models=64 * MIB).take(64 * 1024)  # and is killed
    assert a_budget(folder, models=64 * MIB).left() == 63 * MIB


def test_a_hub_that_sends_more_than_was_asked_for_is_stopped(folder: Path) -> None:
    budget = a_budget(folder, models=MIB)
    budget.take(MIB)
    with pytest.raises(BudgetUsedUp, match="used up"):
        budget.take(1)


def test_each_day_has_its_own_budget_and_a_raised_one_holds_at_once(folder: Path) -> None:
    clock, limits = Clock(), [MIB]
    budget = DayBudget(DayAccount(folder / FILE, clock), lambda: Limits(models=limits[0]))
    budget.take(MIB)
    budget.settle()
    with pytest.raises(BudgetUsedUp):
        budget.left()
    limits[0] = 3 * MIB
    assert budget.left() == 2 * MIB
    limits[0] = MIB
    clock.day += 1
    assert budget.left() == MIB


def test_a_clock_that_jumps_away_and_back_brings_no_second_budget(folder: Path) -> None:
    """A device without a clock of its own begins each start on another day, until the hub says which it is."""
    clock = Clock()
    today = clock.day
    budget = a_budget(folder, total=16 * MIB, clock=clock)
    budget.count(15 * MIB)
    for jump in (-1, -20_000, 400):
        clock.day = today + jump
        started_again = a_budget(folder, total=16 * MIB, clock=clock)
        assert started_again.used_up() == ""
        started_again.count(MIB)
        clock.day = today
        assert started_again.used_up() != "", f"what passed today was forgotten on day {jump}"
    clock.day = today + 1
    assert a_budget(folder, total=16 * MIB, clock=clock).used_up() == ""


def test_the_hub_is_told_until_when_all_else_waits(folder: Path) -> None:
    budget = a_budget(folder, total=16 * MIB)
    for size, until in ((14 * MIB, 0.0), (MIB, (Clock().day + 1) * float(DAY))):
        budget.count(size)
        told = budget.told(30.0)
        assert told is not None
        assert told.until == until
    assert told.left == MIB


def test_without_a_limit_nothing_is_written_and_a_damaged_file_counts_as_none(folder: Path) -> None:
    budget = a_budget(folder)
    budget.take(10 * MIB)
    budget.settle()
    budget.count(10 * MIB)
    assert (budget.left(), budget.used_up(), budget.told(1.0)) == (None, "", None)
    assert budget.draw(100, 0).limited is False
    assert not (folder / FILE).exists()
    (folder / FILE).write_bytes(b"\xff{")
    assert a_budget(folder, models=MIB).left() == MIB


def test_all_uses_share_the_day_but_for_a_sixteenth(folder: Path) -> None:
    budget = a_budget(folder, total=16 * MIB)
    budget.count(MIB)
    budget.take(2 * MIB)
    budget.settle()
    drawn = budget.draw(3 * MIB, 0)
    assert drawn.granted == 3 * MIB
    left = budget.left()
    assert left is not None
    assert 8 * MIB <= left <= 9 * MIB, "up to a portion of telemetry is reserved"
    told = budget.told(30.0)
    assert told is not None
    assert (told.limit, told.left) == (16 * MIB, 10 * MIB)
    assert told.passed == {"telemetry": MIB, "models": 2 * MIB, "federation": 3 * MIB}


def test_once_the_rest_is_used_up_only_the_reserve_is_left(folder: Path) -> None:
    budget = a_budget(folder, total=16 * MIB)
    assert budget.used_up() == ""
    budget.count(15 * MIB)
    words = f"today's network budget of {16 * MIB:,} bytes is used up; it goes on at 2024-10-05 00:00 UTC"
    assert budget.used_up() == words
    with pytest.raises(BudgetUsedUp, match="network budget"):
        budget.left()
    assert budget.draw(1, 0) == (0, words, True)
    assert budget.reserve_left() == MIB
    budget.count(MIB)
    assert budget.reserve_left() == 0


def test_the_tighter_of_two_limits_of_models_holds_and_is_named(folder: Path) -> None:
    budget = a_budget(folder, total=16 * MIB, models=2 * MIB)
    assert budget.left() == 2 * MIB
    budget.take(2 * MIB)
    with pytest.raises(BudgetUsedUp, match=r"download budget of 2,097,152 .*models\.download_budget"):
        budget.left()
    assert budget.used_up() == ""


def test_what_is_drawn_counts_at_once_what_passed_beyond_too_and_the_rest_comes_back(folder: Path) -> None:
    budget = a_budget(folder, total=16 * MIB)
    assert budget.draw(10, 0).granted == MIB // 4, "a portion"
    assert budget.draw(10, 5 * MIB).granted == MIB // 4
    assert spent(folder) == {Use.FEDERATION: 5 * MIB + MIB // 2}
    budget.give_back(MIB // 4)
    assert spent(folder) == {Use.FEDERATION: 5 * MIB + MIB // 4}
    assert budget.draw(100 * MIB, 0).granted == 15 * MIB - 5 * MIB - MIB // 4, "all that is left"


def test_on_a_disk_that_takes_nothing_telemetry_goes_on_and_models_wait(folder: Path) -> None:
    budget = DayBudget(DayAccount(folder / "gone" / FILE, Clock()), lambda: Limits(16 * MIB))
    budget.count(15 * MIB)
    assert budget.used_up()
    budget = DayBudget(DayAccount(folder / "gone" / FILE, Clock()), lambda: Limits(16 * MIB))
    with pytest.raises(Exception, match="make room"):
        budget.take(10)


def test_many_threads_count_every_byte(folder: Path) -> None:
    budget = a_budget(folder, total=2**40)

    def pass_some() -> None:
        for _ in range(500):
            budget.count(7)
            budget.take(11)

    threads = [threading.Thread(target=pass_some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = budget.told(1.0)
    assert told is not None
    assert told.passed["telemetry"] == 8 * 500 * 7
    assert told.passed["models"] == 8 * 500 * 11
