"""What a device answers, and what it refuses, whenever it is cut off and whatever the hub asks."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from msgspec import structs

from flip_runtime.errors import Corrupt, Rejected
from flip_update.secagg import device
from flip_update.secagg.device import Update
from flip_update.secagg.device_round import DeviceRound
from flip_update.secagg.members import Stage
from flip_update.secagg.messages import (
    Advertised,
    Delivery,
    Masked,
    Neighbour,
    Neighbourhood,
    Question,
    Setup,
    Shared,
    Unmasking,
    answer_of,
    encode,
    question_of,
)
from flip_update.secagg.parameters import Parameters
from flip_update.secagg.ring import Ring
from secagg_lab import RUN, Lab

STAGES = [Stage.ADVERTISE, Stage.SHARE, Stage.MASK, Stage.REVEAL]
ME = "device-0"


def state_of(lab: Lab) -> DeviceRound:
    return msgspec.msgpack.decode(lab.states[ME], type=DeviceRound)


def secrets_in(state: DeviceRound) -> list[bytes]:
    shares = [part for held in state.held for part in (held.self_seed, held.escrow_key)]
    pairs = [part for pair in state.pairs for part in (pair.parcel_key, pair.mask_seed)]
    return [secret for secret in (state.private_key, state.self_seed, *pairs, *shares) if secret]


def question(lab: Lab, stage: Stage) -> bytes:
    lab.until(stage)
    return lab.question(ME)


@pytest.mark.parametrize("stage", STAGES)
def test_a_device_that_dies_before_its_answer_leaves_gives_the_same_one_afterwards(stage: Stage) -> None:
    lab = Lab(7)
    asked = question(lab, stage)
    first = lab.answer(ME, asked)
    kept = lab.states[ME]
    assert lab.answer(ME, asked) == first
    assert lab.states[ME] == kept


@pytest.mark.parametrize("stage", STAGES)
def test_a_device_that_dies_before_its_state_is_kept_has_answered_nothing(stage: Stage) -> None:
    lab = Lab(7)
    asked = question(lab, stage)
    before = lab.states[ME]
    lost = lab.answer(ME, asked)
    lab.states[ME] = before
    assert (lab.answer(ME, asked) == lost) == (stage >= Stage.MASK)  # new secrets, as nobody has seen the others
    while lab.hub.stage < Stage.DONE:
        lab.go_on()
    lab.check(lab.total(), lab.names)


def test_earlier_questions_are_answered_again_until_the_round_is_over() -> None:
    lab = Lab(7)
    asked: list[bytes] = []
    answers: list[bytes] = []
    for stage in STAGES:
        asked.append(question(lab, stage))
        answers.append(lab.answer(ME, asked[-1]))
        if stage < Stage.REVEAL:
            assert [lab.answer(ME, each) for each in asked] == answers
    assert [lab.answer(ME, asked[number]) for number in (0, 1, 3)] == [answers[number] for number in (0, 1, 3)]
    with pytest.raises(Rejected, match="its secrets are gone"):
        lab.answer(ME, asked[2])


def _other_setup(asked: Setup) -> Setup:
    return structs.replace(asked, parameters=structs.replace(asked.parameters, clip=2.0))


def _other_neighbourhood(asked: Neighbourhood) -> Neighbourhood:
    return structs.replace(asked, neighbours=[Neighbour(each.number, bytes(range(32))) for each in asked.neighbours])


def _fewer_parcels(asked: Delivery) -> Delivery:
    return structs.replace(asked, parcels=asked.parcels[1:])


def _one_dropped(asked: Unmasking) -> Unmasking:
    return structs.replace(asked, sent=asked.sent[1:], dropped=asked.sent[:1])


@pytest.mark.parametrize(
    ("stage", "change"),
    list(zip(STAGES, (_other_setup, _other_neighbourhood, _fewer_parcels, _one_dropped), strict=True)),
)
def test_a_second_question_of_a_stage_is_refused(stage: Stage, change: Callable[..., Question]) -> None:
    lab = Lab(7)
    asked = question(lab, stage)
    lab.answer(ME, asked)
    with pytest.raises(Rejected, match="another question of this stage was answered already"):
        lab.answer(ME, encode(change(question_of(asked))))


def test_both_secrets_of_one_device_are_never_given() -> None:
    lab = Lab(7)
    asked = question_of(question(lab, Stage.REVEAL))
    assert isinstance(asked, Unmasking)
    both = encode(structs.replace(asked, dropped=asked.sent[:1]))
    before = lab.states[ME]
    with pytest.raises(Rejected, match="both secrets of one device"):
        lab.answer(ME, both)
    assert lab.states[ME] == before
    lab.answer(ME, encode(asked))
    with pytest.raises(Rejected, match="answered already"):
        lab.answer(ME, encode(_one_dropped(asked)))


def test_shares_are_not_given_for_a_sum_of_too_few() -> None:
    lab = Lab(7)
    asked = question_of(question(lab, Stage.REVEAL))
    assert isinstance(asked, Unmasking)
    few = structs.replace(asked, sent=asked.sent[:1], dropped=asked.sent[1:])
    with pytest.raises(Rejected, match=f"1 neighbours are in the sum and {lab.ring.threshold} are needed"):
        lab.answer(ME, encode(few))


def test_shares_of_strangers_are_not_given() -> None:
    lab = Lab(7)
    asked = question_of(question(lab, Stage.REVEAL))
    assert isinstance(asked, Unmasking)
    with pytest.raises(Rejected, match="has not masked with"):
        lab.answer(ME, encode(structs.replace(asked, dropped=[99])))


def test_no_two_updates_go_under_the_same_masks() -> None:
    lab = Lab(7)
    asked = question(lab, Stage.MASK)
    values, weight = lab.updates[ME]
    first = lab.answer(ME, asked)
    for other in (Update(values + np.float32(0.1), weight), Update(values, weight + 1)):
        lab.updates[ME] = other
        with pytest.raises(Rejected, match="another update was masked already"):
            lab.answer(ME, asked)
    lab.updates[ME] = Update(values, weight)
    assert lab.answer(ME, asked) == first


def test_a_vector_takes_an_update() -> None:
    lab = Lab(7)
    asked = question(lab, Stage.MASK)
    assert device.needs_update(asked)
    with pytest.raises(Rejected, match="with an update"):
        device.answered(lab.states[ME], asked)


def test_stages_are_not_left_out() -> None:
    lab = Lab(7)
    lab.until(Stage.MASK)
    later = lab.question(ME)
    fresh = Lab(7)
    fresh.go_on()
    with pytest.raises(Rejected, match="the question before this one was not asked"):
        device.answered(fresh.states[ME], later, lab.updates[ME])
    with pytest.raises(Rejected, match=f"round 1 of run {RUN} is not this device's"):
        device.answered(device.NEW, later, lab.updates[ME])


def test_secrets_are_drawn_anew_for_every_round() -> None:
    lab = Lab(5)
    seen: set[bytes] = set()
    answers: set[bytes] = set()
    for _ in range(6):
        for stage in STAGES:
            lab.until(stage)
            lab.ask()
            found = set(secrets_in(state_of(lab)))
            if stage in (Stage.ADVERTISE, Stage.SHARE):
                assert found
                assert not found & seen
                seen |= found
            lab.hub.close()
        for name in lab.names:
            assert lab.masked[name] not in answers
            answers.add(lab.masked[name])
        lab.check(lab.total(), lab.names)
        lab.begin()


def test_no_secret_is_left_when_the_round_is_over() -> None:
    lab = Lab(5)
    kept: set[bytes] = set()
    for stage in STAGES:
        lab.until(stage)
        lab.ask()
        kept |= set(secrets_in(state_of(lab)))
    assert secrets_in(state_of(lab)) == []
    told = lab.state.members[ME].revealed
    assert told
    shares = {share.content for share in [*told.self_seeds, *told.escrow_keys]}
    assert not any(secret in lab.states[ME] for secret in kept - shares)


def test_a_round_that_failed_leaves_no_secret_and_is_not_gone_on_with() -> None:
    lab = Lab(5)
    asked = question(lab, Stage.MASK)
    lab.states[ME] = device.ended(lab.states[ME])
    assert secrets_in(state_of(lab)) == []
    with pytest.raises(Rejected, match="its secrets are gone"):
        lab.answer(ME, asked)
    lab.begin()
    lab.until(Stage.DONE)
    lab.check(lab.total(), lab.names)
    assert device.ended(device.NEW) == device.NEW


def test_a_round_of_the_past_is_not_begun_again() -> None:
    lab = Lab(5)
    first = question(lab, Stage.ADVERTISE)
    lab.begin()
    lab.go_on()
    with pytest.raises(Rejected, match="round 1 after round 2"):
        lab.answer(ME, first)


def test_the_state_of_one_run_serves_no_other() -> None:
    lab = Lab(5)
    asked = question_of(question(lab, Stage.ADVERTISE))
    lab.go_on()
    with pytest.raises(Rejected, match="each run has its own"):
        lab.answer(ME, encode(structs.replace(asked, run="8", round=2)))


def test_a_damaged_state_is_called_so() -> None:
    lab = Lab(5)
    asked = question(lab, Stage.SHARE)
    lab.states[ME] = lab.states[ME][:-1]
    with pytest.raises(Corrupt):
        lab.answer(ME, asked)


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
        (Update(np.zeros(4, np.float32), 1), r"shape \(4,\) instead of \(5,\)"),
        (Update(np.zeros((5, 1), np.float32), 1), r"shape \(5, 1\)"),
        (Update(np.zeros(5, np.float16), 1), "float16"),
        (Update(np.zeros(5, np.float32), 0), "a weight of 0"),
        (Update(np.zeros(5, np.float32), 101), r"between 1 and 100 \(max_weight\)"),
        (Update(np.array([0, 0, np.nan, 0, 0], np.float32), 1), "not finite"),
        (Update(np.array([0, 0, np.inf, 0, 0], np.float32), 1), "not finite"),
        (Update(np.array([0, 0, -np.inf, 0, 0]), 1), "not finite"),
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


def test_an_answer_to_share_holds_no_secret_in_the_clear() -> None:
    lab = Lab(9)
    lab.until(Stage.SHARE)
    answer = lab.answer(ME, lab.question(ME))
    assert isinstance(answer_of(answer), Shared)
    assert not any(secret in answer for secret in secrets_in(state_of(lab)))
