"""What happens to a device follows from the lab's seed and its number; the file of faults is refused by name."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flip_lab.absences import Away, Span
from flip_lab.faults import Absences, Clocks, Faults, Lies, Link, Trace, Training, load_faults
from flip_lab.fortune import Fortune
from flip_runtime.errors import ConfigError

ROUGH = Faults(
    link=Link(spread=0.5),
    training=Training(spread=0.3, tail=1.5),
    outages=[Absences(share=0.5, every=100, lasts=20)],
    power_cuts=[Absences(share=0.5, every=200, lasts=10)],
    clocks=[Clocks(share=0.3, ahead=-5.0)],
    lies=[Lies(kind="nan", share=0.2), Lies(kind="scaled", share=0.2)],
)


def told(fortune: Fortune) -> list[object]:
    spans = [fortune.network.next(moment) for moment in range(0, 3000, 100)]
    return [fortune.seconds("train", 1), fortune.down, fortune.up, fortune.ahead, fortune.lies, fortune.seed(3), *spans]


def test_a_device_has_the_same_fortune_each_time_and_another_one_than_others() -> None:
    assert told(Fortune(ROUGH, 7, 3)) == told(Fortune(ROUGH, 7, 3))
    assert told(Fortune(ROUGH, 7, 3)) != told(Fortune(ROUGH, 7, 4))
    assert told(Fortune(ROUGH, 7, 3)) != told(Fortune(ROUGH, 8, 3))


def test_shares_are_shares_of_the_devices() -> None:
    fleet = [Fortune(ROUGH, 1, number) for number in range(1, 1001)]
    assert 250 < sum(each.ahead != 0 for each in fleet) < 350
    assert 300 < sum(each.lies is not None for each in fleet) < 420, "one of two lies, told by a fifth each"
    assert 440 < sum(each.power.next(0.0) is not None for each in fleet) < 560


def test_the_median_device_takes_as_long_as_the_file_says() -> None:
    faults = Faults(training=Training(seconds=30.0, spread=0.5, evaluation=0.5))
    times = sorted(Fortune(faults, 1, number).seconds("train", 1) for number in range(1, 1000))
    assert 27.0 < times[500] < 33.0
    assert Fortune(faults, 1, 1).seconds("evaluate", 1) == pytest.approx(Fortune(faults, 1, 1).seconds("train", 1) / 2)


def test_what_a_trace_says_is_so() -> None:
    trace = Trace(device=2, outages=[(10, 20)], power_cuts=[(15, 30)], ahead=9.0, pace=3.0, lies=Lies(kind="keys"))
    fortune = Fortune(Faults(traces=[trace]), 1, 2)
    assert (fortune.ahead, fortune.lies, fortune.seconds("train", 1)) == (9.0, trace.lies, 30.0)
    assert fortune.network.next(0.0) == Span(10, 30), "without power there is no network"
    assert fortune.power.next(0.0) == Span(15, 30)
    assert Fortune(Faults(traces=[trace]), 1, 1).network.next(0.0) is None


def test_a_transfer_goes_on_after_each_outage() -> None:
    fortune = Fortune(Faults(traces=[Trace(device=1, outages=[(10, 20), (22, 30)])]), 1, 1)
    assert fortune.sends(0.0, 10.0) == 10.0
    assert fortune.sends(0.0, 11.0) == 21.0
    assert fortune.sends(5.0, 8.0) == 31.0
    assert fortune.sends(15.0, 1.0) == 21.0
    assert fortune.sends(40.0, 1.0) == 41.0


@settings(deadline=None)
@given(spans=st.lists(st.tuples(st.floats(0, 1000), st.floats(0.1, 100)), max_size=12), moment=st.floats(0, 1200))
def test_absences_are_in_order_and_apart_whatever_the_file_says(
    spans: list[tuple[float, float]], moment: float
) -> None:
    written = [(begin, begin + length) for begin, length in spans]
    away = Away(written, [])
    inside = any(begin <= moment < end for begin, end in written)
    assert (away.at(moment) is not None) == inside
    following = away.next(moment)
    assert (following is None) == all(end <= moment for _, end in written)


def test_drawn_absences_are_the_same_however_far_one_looks_at_once() -> None:
    far, near = Fortune(ROUGH, 3, 5).network, Fortune(ROUGH, 3, 5).network
    assert far.next(50_000.0) is not None or far.next(0.0) is None
    moments = [step * 700.0 for step in range(72)]
    assert [near.next(moment) for moment in moments] == [far.next(moment) for moment in moments]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[training]\nseconds = 0", r"faults.toml: training.seconds: it must be a number >= 0.001"),
        ("[[outages]]\nshare = 1.5", r"outages\[0\].share"),
        ("[[lies]]\nkind = 'gossip'", r"lies\[0\].kind: 'gossip' is none that there is"),
        ("[link]\nlatenzy = 1", "link: there is no latenzy"),
        ("[[traces]]\ndevice = 3\noutages = [[20, 10]]", "device 3 is away from 20 until 10"),
        ("[[traces]]\ndevice = 9", "names device 9 .*devices 1 to 8"),
        ("[[traces]]\ndevice = 3\n[[traces]]\ndevice = 4\n[[traces]]\ndevice = 3", "device 3 has two"),
        ("no toml", "faults.toml is no TOML"),
    ],
)
def test_a_file_that_cannot_be_is_refused_by_the_name_of_what_is_wrong(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=named):
        load_faults(path, 8)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        load_faults(tmp_path / "none.toml", 8)
