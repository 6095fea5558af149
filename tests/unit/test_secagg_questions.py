"""Questions that no honest hub asks, parcels that do not open, and updates that there is no room for: refused."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from msgspec import structs

from flip_runtime.errors import Rejected
from flip_update.secagg import device
from flip_update.secagg.device import Update
from flip_update.secagg.members import Stage
from flip_update.secagg.messages import (
    Advertised,
    Delivery,
    Masked,
    Neighbour,
    Neighbourhood,
    Setup,
    answer_of,
    encode,
    question_of,
)
from flip_update.secagg.parameters import Parameters
from flip_update.secagg.ring import Ring
from secagg_lab import Lab

ME = "device-0"


def question(lab: Lab, stage: Stage) -> bytes:
    lab.until(stage)
    return lab.question(ME)


@pytest.mark.parametrize("asked", [b"", b"\xc1", msgspec.msgpack.encode({"type": "Setup"}), b"\x81\xa4type\xa3xxx"])
def test_what_is_no_question_is_refused(asked: bytes) -> None:
    with pytest.raises(Rejected, match="no message of secure aggregation"):
        device.answered(device.NEW, asked)


def test_an_answer_is_no_question() -> None:
    with pytest.raises(Rejected):
        device.answered(device.NEW, encode(Advertised(run="1", round=1, public_key=bytes(32))))


def test_parameters_that_overflow_are_refused_by_the_device_too() -> None:
    forced = Parameters(devices=50, length=3, clip=1.0, max_weight=1, bits=31)
    with pytest.raises(Rejected, match="bits: 50 values of 31 bits overflow"):
        device.answered(device.NEW, encode(Setup(run="1", round=1, parameters=forced)))


LOW_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    (2**255 - 20).to_bytes(32, "little"),
]


@pytest.mark.parametrize("key", LOW_ORDER)
def test_a_neighbour_with_a_point_of_low_order_is_refused(key: bytes) -> None:
    lab = Lab(5)
    asked = question_of(question(lab, Stage.SHARE))
    assert isinstance(asked, Neighbourhood)
    weak = [Neighbour(asked.neighbours[0].number, key), *asked.neighbours[1:]]
    with pytest.raises(Rejected, match="low order"):
        lab.answer(ME, encode(structs.replace(asked, neighbours=weak)))


def _twice(asked: Neighbourhood) -> Neighbourhood:
    first, second, *rest = asked.neighbours
    return structs.replace(asked, neighbours=[first, Neighbour(second.number, first.public_key), *rest])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_twice, "two devices with one key"),
        (lambda asked: structs.replace(asked, neighbours=asked.neighbours[1:]), "not those of the circle"),
        (lambda asked: structs.replace(asked, number=99), "number 99 of 9 devices"),
        (lambda asked: structs.replace(asked, ring=structs.replace(asked.ring, size=10)), "a round of 10 devices"),
        (lambda asked: structs.replace(asked, ring=structs.replace(asked.ring, threshold=4)), "more than half"),
        (lambda asked: structs.replace(asked, ring=Ring(size=9, degree=5, threshold=4)), "cannot have|can have"),
    ],
)
def test_a_circle_in_which_an_update_would_not_be_hidden_is_refused(
    change: Callable[..., Neighbourhood], text: str
) -> None:
    lab = Lab(9)
    asked = question_of(question(lab, Stage.SHARE))
    with pytest.raises(Rejected, match=text):
        lab.answer(ME, encode(change(asked)))


def test_a_device_does_not_mask_when_too_few_neighbours_have_shared() -> None:
    lab = Lab(9)
    asked = question_of(question(lab, Stage.MASK))
    assert isinstance(asked, Delivery)
    few = structs.replace(asked, parcels=asked.parcels[: lab.ring.threshold - 1])
    with pytest.raises(Rejected, match="4 neighbours have shared and 5 are needed"):
        lab.answer(ME, encode(few))


def test_parcels_that_were_changed_on_their_way_are_complained_of() -> None:
    lab = Lab(9)
    asked = question_of(question(lab, Stage.MASK))
    assert isinstance(asked, Delivery)
    one, two, three, *rest = asked.parcels
    bent = bytes([one.content[0] ^ 1]) + one.content[1:]
    changed = [
        structs.replace(one, content=bent),
        structs.replace(two, content=three.content),
        structs.replace(three, self_seed=bytes(32)),
        *rest,
    ]
    answer = answer_of(lab.answer(ME, encode(structs.replace(asked, parcels=changed))))
    assert isinstance(answer, Masked)
    assert answer.unopened == [one.number, two.number, three.number]


def test_parcels_of_another_round_do_not_open() -> None:
    lab = Lab(5)
    before = question_of(question(lab, Stage.MASK))
    lab.begin()
    asked = question_of(question(lab, Stage.MASK))
    assert isinstance(before, Delivery)
    assert isinstance(asked, Delivery)
    numbers = {parcel.number for parcel in asked.parcels}
    old = [parcel for parcel in before.parcels if parcel.number in numbers]
    with pytest.raises(Rejected, match="0 neighbours have shared"):
        lab.answer(ME, encode(structs.replace(asked, parcels=old)))


@pytest.mark.parametrize(
    ("update", "text"),
    [
        (Update([np.zeros(4, np.float32)], 1), "an update of 4 values instead of 5"),
        (Update([], 1), "an update of 0 values"),
        (Update([np.zeros(5, np.float32), np.zeros((1, 1))], 1), "an update of 6 values"),
        (Update([np.zeros(5, np.float16)], 1), "an array of float16"),  # type: ignore[list-item]
        (Update([np.zeros(5, np.float32)], 0), r"a weight that is not between 1 and 100 \(max_weight\)"),
        (Update([np.zeros(5, np.float32)], 101), r"a weight that is not between 1 and 100 \(max_weight\)"),
        (Update([np.zeros(4), np.array([np.nan], np.float32)], 1), "not finite"),
        (Update([np.array([0, 0, np.inf, 0, 0], np.float32)], 1), "not finite"),
        (Update([np.array([0, 0, -np.inf, 0, 0])], 1), "not finite"),
    ],
)
def test_what_is_no_update_is_refused_and_another_can_take_its_place(update: Update, text: str) -> None:
    lab = Lab(5)
    asked = question(lab, Stage.MASK)
    right = lab.updates[ME]
    lab.updates[ME] = update
    with pytest.raises(Rejected, match=text):
        lab.answer(ME, asked)
    lab.updates[ME] = right
    lab.until(Stage.DONE)
    lab.check(lab.total(), lab.names)


def test_values_beyond_all_bounds_are_cut_like_others() -> None:
    lab = Lab(5)
    lab.updates[ME] = Update([np.array([1e308, -1e308, 0.5, 0.0, 0.0])], 100)
    lab.until(Stage.DONE)
    total = lab.total()
    assert total.clipped == 1
    assert np.abs(total.mean).max() <= 1.0
