"""Which conditions of a device hold, and since when people are told."""

import msgspec

from flip_agent.conditions import DISK_RESERVE, HUB_UNREACHABLE, INFERENCE_DOWN, Conditions, Facts, judge
from flip_wire.fleet import RolloutFailure

WELL = Facts(disk_free=2 * DISK_RESERVE, hub_trouble="", clock_offset=0.2, inference_connected=True, failures=[])


def but(**facts: object) -> Facts:
    return msgspec.structs.replace(WELL, **facts)


def test_a_device_that_is_well_has_no_condition() -> None:
    assert judge(WELL) == {}


def test_each_trouble_has_its_condition() -> None:
    failure = RolloutFailure(model="digits", version=3, reason="probe differs")
    for facts, code in [
        (but(disk_free=DISK_RESERVE - 1), "disk-low"),
        (but(hub_trouble="unreachable: refused"), "hub-unreachable"),
        (but(clock_offset=-9.0), "clock-skew"),
        (but(inference_connected=False), "inference-down"),
        (but(failures=[failure]), "rollout-failed"),
    ]:
        assert list(judge(facts)) == [code]


def test_a_clock_that_is_late_is_told_from_one_that_is_early() -> None:
    assert "behind" in judge(but(clock_offset=60.0))["clock-skew"][1]
    assert "ahead" in judge(but(clock_offset=-60.0))["clock-skew"][1]


def test_a_short_absence_of_the_hub_is_nobodys_business() -> None:
    conditions, away = Conditions(), but(hub_trouble="unreachable: refused")
    assert conditions.update(away, now=100.0) == []
    assert conditions.update(away, now=99.0 + HUB_UNREACHABLE.visible_after) == []
    (told,) = conditions.update(away, now=100.0 + HUB_UNREACHABLE.visible_after)
    assert (told.code, told.since) == ("hub-unreachable", 100.0)


def test_a_condition_that_went_away_counts_from_its_return() -> None:
    conditions, down = Conditions(), but(inference_connected=False)
    conditions.update(down, now=0.0)
    conditions.update(WELL, now=50.0)
    assert conditions.update(down, now=60.0) == []
    assert conditions.update(down, now=60.0 + INFERENCE_DOWN.visible_after)[0].since == 60.0
