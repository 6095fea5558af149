"""Which conditions of a device people are told of, and since when."""

import pytest

from flip_agent.health.conditions import (
    DECLARED,
    DISK_LOW,
    HUB_UNREACHABLE,
    INFERENCE_DOWN,
    MODEL_STALE,
    SAFE_MODE,
    Conditions,
    Declaration,
    Since,
)


def at(seconds: float, *, clock_set_by: float = 0.0) -> Since:
    return Since(wall=1_000_000.0 + seconds + clock_set_by, monotonic=seconds)


def test_each_condition_is_declared_once_and_depends_only_on_those_that_are() -> None:
    codes = [declaration.code for declaration in DECLARED]
    assert len(codes) == len(set(codes))
    assert {code for declaration in DECLARED for code in declaration.depends_on} <= set(codes)


def test_no_condition_explains_itself() -> None:
    explained = {declaration.code: declaration.depends_on for declaration in DECLARED}

    def causes(code: str, seen: tuple[str, ...] = ()) -> None:
        assert code not in seen, f"{code} explains itself through {seen}"
        for cause in explained[code]:
            causes(cause, (*seen, code))

    for code in explained:
        causes(code)


@pytest.mark.parametrize("declaration", DECLARED, ids=lambda declaration: declaration.code)
def test_what_holds_is_told_with_its_way_out_once_it_has_lasted(declaration: Declaration) -> None:
    conditions = Conditions()
    found = {declaration: "so it is"}
    conditions.update(found, at(100.0))
    (told,) = conditions.update(found, at(100.0 + declaration.visible_after))
    assert (told.code, told.severity, told.since) == (declaration.code, declaration.severity, at(100.0).wall)
    assert told.text == f"so it is ({declaration.hint})"


def test_a_short_absence_of_the_hub_is_nobodys_business() -> None:
    conditions, away = Conditions(), {HUB_UNREACHABLE: "unreachable: refused"}
    assert conditions.update(away, at(100.0)) == []
    assert conditions.update(away, at(99.0 + HUB_UNREACHABLE.visible_after)) == []
    assert len(conditions.update(away, at(100.0 + HUB_UNREACHABLE.visible_after))) == 1


def test_a_condition_that_went_away_counts_from_its_return() -> None:
    conditions, down = Conditions(), {INFERENCE_DOWN: "not connected"}
    conditions.update(down, at(0.0))
    conditions.update({}, at(50.0))
    assert conditions.update(down, at(60.0)) == []
    assert conditions.update(down, at(60.0 + INFERENCE_DOWN.visible_after))[0].since == at(60.0).wall


def test_a_clock_that_is_set_makes_no_condition_old() -> None:
    conditions, away = Conditions(), {HUB_UNREACHABLE: "unreachable: refused"}
    conditions.update(away, at(0.0))
    assert conditions.update(away, at(1.0, clock_set_by=3600.0)) == []


def test_what_another_condition_explains_is_not_told_beside_it() -> None:
    conditions, found = Conditions(), {DISK_LOW: "1 MiB free", MODEL_STALE: "version 3 is wanted"}
    conditions.update(found, at(0.0))
    later = at(MODEL_STALE.visible_after)
    assert [told.code for told in conditions.update(found, later)] == ["disk-low"]
    assert [told.code for told in conditions.update({MODEL_STALE: "version 3 is wanted"}, later)] == ["model-stale"]


def test_in_safe_mode_only_that_is_told_not_what_it_switches_off() -> None:
    conditions, found = Conditions(), {SAFE_MODE: "five failures", INFERENCE_DOWN: "not connected"}
    conditions.update(found, at(0.0))
    assert [told.code for told in conditions.update(found, at(3600.0))] == ["safe-mode"]
