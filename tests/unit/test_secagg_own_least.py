"""A device's own minimum: with fewer others it takes part in no sum, whatever a hub says."""

import pytest
from msgspec import structs

from flip_runtime.errors import Rejected
from flip_update.secagg import device
from flip_update.secagg.members import Stage
from flip_update.secagg.messages import Delivery, Neighbour, Neighbourhood, Unmasking, encode, question_of
from flip_update.secagg.ring import Ring, fitting
from secagg_lab import Lab

ME = "device-0"
SETTING = r"federation\.secure_least"


def careful(least: int = 6, promised: int = 6, devices: int = 9) -> Lab:
    lab = Lab(devices, dropout=0.2, colluding=0.1, least=promised)
    lab.own_least[ME] = least
    return lab


def asked(lab: Lab, stage: Stage) -> device.Question:
    lab.until(stage)
    return question_of(lab.question(ME))


def test_a_round_whose_sum_may_be_of_fewer_goes_on_without_the_device() -> None:
    lab = careful(promised=5)
    refused = lab.go_on()
    assert list(refused) == [ME]
    assert "the sum may be of 5 devices, and federation.secure_least of this device is 6" in refused[ME]
    while lab.hub.stage < Stage.DONE:
        lab.go_on()
    lab.check(lab.total(), lab.names[1:])
    assert lab.states[ME] == device.NEW


@pytest.mark.parametrize("devices", [6, 9, 20, 60])
def test_a_hub_that_promises_so_many_lets_each_device_see_as_many(devices: int) -> None:
    lab = careful(devices=devices)
    lab.own_least = dict.fromkeys(lab.names, 6)
    absent: set[str] = set()
    while lab.hub.stage < Stage.DONE:
        assert lab.go_on(absent=absent) == {}
        if devices > 6 and lab.hub.stage is Stage.MASK:
            absent = {lab.names[-1]}
    lab.check(lab.total(), [name for name in lab.names if name not in absent])


def test_a_circle_in_which_too_few_are_its_neighbours_is_refused_though_it_is_said_to_be_large() -> None:
    """Of the others it knows nothing but that the hub says so."""
    lab = careful()
    true = asked(lab, Stage.SHARE)
    assert isinstance(true, Neighbourhood)
    small = Ring(size=9, degree=4, threshold=3)
    keys = {each.number: each for each in lab.state.members.values()}
    near = [Neighbour(number, keys[number].public_key) for number in small.neighbours(true.number)]
    before = lab.states[ME]
    with pytest.raises(Rejected, match=f"masks with 4 others, and its {SETTING} is 6"):
        lab.answer(ME, encode(structs.replace(true, ring=small, neighbours=near)))
    assert lab.states[ME] == before, "the honest question is answered afterwards"
    lab.answer(ME, encode(true))


def test_it_masks_nothing_where_too_few_have_shared_and_does_not_train_in_vain() -> None:
    lab = careful(devices=6)
    few = asked(lab, Stage.MASK)
    assert isinstance(few, Delivery)
    few = structs.replace(few, parcels=few.parcels[:4])
    with pytest.raises(Rejected, match=f"masks with 4 others, and its {SETTING} is 6"):
        device.needs_update(lab.states[ME], encode(few), 6)


def test_parcels_that_do_not_open_are_no_others() -> None:
    lab = careful(devices=6)
    bad = asked(lab, Stage.MASK)
    assert isinstance(bad, Delivery)
    spoilt = structs.replace(bad.parcels[0], content=bytes(82))
    with pytest.raises(Rejected, match=f"masks with 4 others, and its {SETTING} is 6"):
        lab.answer(ME, encode(structs.replace(bad, parcels=[spoilt, *bad.parcels[1:]])))


def test_it_opens_no_sum_of_fewer() -> None:
    lab = careful(8, 8)
    true = asked(lab, Stage.REVEAL)
    assert isinstance(true, Unmasking)
    few = structs.replace(true, sent=true.sent[:6], dropped=true.sent[6:])
    assert lab.ring.threshold < 6, "for the threshold it would be enough"
    with pytest.raises(Rejected, match=f"sees in the sum 6 others, and its {SETTING} is 8"):
        lab.answer(ME, encode(few))


def test_a_minimum_that_was_raised_holds_in_a_circle_that_is_under_way() -> None:
    lab = careful(least=3)
    lab.renews = True
    while lab.hub.stage < Stage.DONE:
        lab.go_on()
    lab.follow()
    lab.until(Stage.MASK)
    lab.own_least[ME] = 7
    assert SETTING.replace("\\", "") in lab.ask()[ME]


@pytest.mark.parametrize("size", [4, 5, 8, 15, 50, 100])
@pytest.mark.parametrize("least", [3, 4, 8, 12])
def test_where_not_all_are_neighbours_enough_are_needed_that_each_sees_them(size: int, least: int) -> None:
    if least <= size:
        ring = fitting(size, 0.1, 0.1, least)
        assert ring.degree == size - 1 or ring.threshold + 1 >= least
        assert 2 * ring.threshold > ring.degree
