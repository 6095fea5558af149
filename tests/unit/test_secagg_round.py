"""A round gives the mean of the devices that sent, whoever drops out when, or says why it gives nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flip_runtime.errors import ConfigError, Corrupt, Rejected
from flip_update.secagg.hub_round import HubRound
from flip_update.secagg.members import Stage
from flip_update.secagg.parameters import Parameters
from secagg_lab import Lab

DEVICES = st.integers(5, 13)


@settings(deadline=None)
@given(size=DEVICES, data=st.data())
def test_the_mean_is_that_of_those_who_sent_for_every_pattern_of_dropouts(size: int, data: st.DataObject) -> None:
    lab = Lab(size, seed=size)
    left = list(lab.names)
    bearable = int(size * lab.dropout + 1e-9)
    late = data.draw(st.integers(0, bearable))
    for gone in (0, data.draw(st.integers(0, late)), late):
        absent = lab.names[:gone]
        lab.go_on(absent=absent)
        left = [name for name in left if name not in absent]
    sent = list(left)
    lab.go_on(absent=lab.names[:bearable])
    lab.check(lab.total(), sent)


@settings(deadline=None)
@given(size=DEVICES, dropped=st.integers(0, 3))
def test_those_who_never_advertise_do_not_use_up_what_may_drop_out(size: int, dropped: int) -> None:
    lab = Lab(size + dropped, seed=dropped)
    away = set(lab.names[:dropped])
    lab.go_on(absent=away)
    there = [name for name in lab.names if name not in away]
    for _ in range(3):
        lab.go_on(absent=there[: int(size * lab.dropout)])
    lab.check(lab.total(), there[int(size * lab.dropout) :])


@pytest.mark.parametrize("stage", [Stage.SHARE, Stage.MASK, Stage.REVEAL])
def test_it_ends_with_as_many_as_the_threshold_says(stage: Stage) -> None:
    lab = Lab(9)
    lab.until(stage)
    there = lab.names[: lab.ring.threshold + 1]  # of each, all others are neighbours
    while lab.hub.stage < Stage.DONE:
        lab.go_on(absent=set(lab.names) - set(there))
    lab.check(lab.total(), lab.names if stage is Stage.REVEAL else there)


@pytest.mark.parametrize("stage", [Stage.SHARE, Stage.MASK, Stage.REVEAL])
def test_with_one_less_it_says_how_many_answered_and_how_many_are_needed(stage: Stage) -> None:
    lab = Lab(9)
    lab.until(stage)
    lab.ask(absent=lab.names[lab.ring.threshold :])
    assert not lab.hub.enough()
    with pytest.raises(
        Rejected,
        match=f"stage {stage.name.lower()}: 5 of 9 devices have answered: 4 of the 8 neighbours .* 5 are needed",
    ):
        lab.hub.close()


def test_a_round_of_fewer_devices_than_asked_for_is_not_made() -> None:
    lab = Lab(9, least=8)
    lab.ask(absent=lab.names[7:])
    with pytest.raises(Rejected, match="stage advertise: 7 of 9 devices have answered: 7 are left, 8 are needed"):
        lab.hub.close()


def test_too_few_for_what_may_drop_out_are_no_round() -> None:
    lab = Lab(9)
    lab.ask(absent=lab.names[3:])
    with pytest.raises(Rejected, match=r"3 of 9 devices have answered: .* cannot bear that 1 drop out"):
        lab.hub.close()


def test_the_last_stage_need_not_wait_for_all() -> None:
    lab = Lab(9)
    lab.until(Stage.REVEAL)
    enough = lab.ring.threshold + 1
    assert not lab.hub.enough()
    lab.ask(absent=lab.names[enough:])
    assert lab.hub.enough()
    assert lab.hub.waiting() == lab.names[enough:]
    lab.hub.close()
    lab.check(lab.total(), lab.names)


def test_whose_masks_are_lost_with_two_devices_at_once_is_helped_by_the_escrow() -> None:
    """One drops out after it has shared; a neighbour that has masked with it sends, and never answers again."""
    lab = Lab(13)
    lab.until(Stage.MASK)
    first, *others = lab.names
    lab.go_on(absent=[first])
    lab.go_on(absent=others[:3])
    lab.check(lab.total(), others)


def test_a_hub_that_is_restarted_asks_the_same_and_ends_the_round() -> None:
    lab = Lab(9)
    while lab.hub.stage < Stage.DONE:
        before = lab.hub.questions()
        lab.hub = HubRound.resumed(lab.hub.stored())
        assert lab.hub.questions() == before
        lab.go_on()
    lab.hub = HubRound.resumed(lab.hub.stored())
    lab.check(lab.total(), lab.names)


def test_the_state_of_a_hub_that_is_damaged_is_called_so() -> None:
    with pytest.raises(Corrupt):
        HubRound.resumed(Lab(5).hub.stored()[:-9])


def test_devices_far_apart_in_the_circle_need_not_know_of_each_other() -> None:
    lab = Lab(60, dropout=0.1, colluding=0.1)
    lab.until(Stage.MASK)
    assert lab.ring.degree < 30
    lab.go_on(absent=lab.names[:6])
    lab.go_on()
    lab.check(lab.total(), lab.names[6:])


@pytest.mark.parametrize(
    ("devices", "text"),
    [
        (["a", "b", "a", "c", "d"], "comes twice"),
        (list("abcdef"), "for 5 at most"),
        (["a", "b"], "cannot bear"),
    ],
)
def test_devices_that_cannot_make_a_round_are_refused_before_it(devices: list[str], text: str) -> None:
    parameters = Parameters.checked(devices=5, length=1, clip=1.0, max_weight=1)
    with pytest.raises(ConfigError, match=text):
        HubRound.begin("1", 1, parameters, devices)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_shares_out_of_range_are_refused(share: float) -> None:
    parameters = Parameters.checked(devices=5, length=1, clip=1.0, max_weight=1)
    with pytest.raises(ConfigError, match="dropout"):
        HubRound.begin("1", 1, parameters, list("abcde"), dropout=share)


def test_a_total_is_made_of_all_that_count_once() -> None:
    lab = Lab(5)
    with pytest.raises(Rejected, match="stage advertise"):
        lab.total()
    lab.until(Stage.DONE)
    with pytest.raises(Rejected, match="the round is over"):
        lab.hub.close()
    name = lab.names[0]
    once = [(other, lab.masked[other]) for other in lab.names]
    with pytest.raises(Rejected, match=f"this answer of {name} .* comes twice"):
        lab.hub.total([*once, (name, lab.masked[name])])
    with pytest.raises(Rejected, match=f"the answer of {name} is missing"):
        lab.hub.total(once[1:])
