"""When training waits, why, and when it goes on."""

import pytest

from flip_agent.governor import Held, Readings, judge, rules
from flip_agent.settings import GovernorSection

LIMITS = GovernorSection(settle=60.0)
GOOD = Readings(battery=90.0, temperature=40.0, load=0.5, disk_free=2**34, interface="eth0", p99=0.01)


class Device:
    """What holds training, reading after reading."""

    def __init__(self, limits: GovernorSection = LIMITS) -> None:
        self.limits = limits
        self.held: dict[str, Held] = {}

    def reads(self, now: Readings, *, at: float) -> list[str]:
        self.held = judge(rules(self.limits), now, self.held, at=at, settle=self.limits.settle)
        return [held.because for held in self.held.values()]


@pytest.mark.parametrize(
    ("bad", "between", "because"),
    [
        (Readings(battery=29.0), Readings(battery=35.0), "battery at 29 %"),
        (Readings(temperature=81.0), Readings(temperature=75.0), "81 °C"),
        (Readings(load=9.0), Readings(load=7.0), "load of 9.0 per core"),
        (Readings(disk_free=2**20), Readings(disk_free=600 * 2**20), "1 MiB free on the disk, at least 512 wanted"),
        (Readings(p99=0.8), Readings(p99=0.4), "local inference takes 0.80 s"),
    ],
)
def test_each_reason_holds_until_it_has_been_better_than_a_milder_limit_for_a_while(
    bad: Readings, between: Readings, because: str
) -> None:
    device = Device()
    assert device.reads(between, at=0.0) == []
    (held,) = device.reads(bad, at=10.0)
    assert because in held
    assert device.reads(between, at=500.0) == [held]
    assert device.reads(GOOD, at=510.0) == [held]
    assert device.reads(between, at=560.0) == [held], "it was not good for long enough"
    assert device.reads(GOOD, at=570.0) == [held]
    assert device.reads(GOOD, at=629.0) == [held]
    assert device.reads(GOOD, at=630.0) == []


def test_a_device_on_mains_or_without_sensors_is_never_held() -> None:
    assert Device().reads(Readings(), at=0.0) == []


def test_a_metered_interface_is_known_by_its_pattern() -> None:
    device = Device()
    assert device.reads(Readings(interface="wwan0"), at=0.0) == ["the network is metered (wwan0)"]
    assert device.reads(Readings(interface="eth0"), at=1.0) != []
    assert device.reads(Readings(interface="eth0"), at=61.0) == []


def test_all_reasons_are_told() -> None:
    assert len(Device().reads(Readings(battery=3.0, temperature=99.0, interface="wwan1"), at=0.0)) == 3


def test_a_limit_of_zero_never_holds() -> None:
    never = GovernorSection(
        battery_min=0, temperature_max=0, load_max=0, disk_min=0, metered=(), inference_p99_max=0, settle=60.0
    )
    worst = Readings(battery=1.0, temperature=120.0, load=99.0, disk_free=0.0, interface="wwan0", p99=30.0)
    assert Device(never).reads(worst, at=0.0) == []


def test_a_limit_that_is_lifted_lets_training_go_on() -> None:
    device = Device()
    device.reads(Readings(temperature=90.0), at=0.0)
    device.limits = GovernorSection(temperature_max=0, settle=60.0)
    device.reads(Readings(temperature=90.0), at=10.0)
    assert device.reads(Readings(temperature=90.0), at=70.0) == []
