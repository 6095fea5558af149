"""What a device answers, and what it refuses, whenever it is cut off and whatever the hub asks."""

from collections.abc import Callable

import numpy as np
import pytest
from msgspec import structs

from flip_runtime.errors import Corrupt, Rejected
from flip_update.secagg import device
from flip_update.secagg.device import Update
from flip_update.secagg.device_round import DeviceRound
from flip_update.secagg.members import Stage
from flip_update.secagg.messages import (
    Delivery,
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
from secagg_lab import RUN, Lab

STAGES = [Stage.ADVERTISE, Stage.SHARE, Stage.MASK, Stage.REVEAL]
ME = "device-0"


def secrets_in(state: DeviceRound) -> list[bytes]:
    shares = [part for held in state.held for part in (held.self_seed, held.escrow_key)]
    pairs = [part for pair in state.pairs for part in (pair.parcel_key, pair.mask_seed)]
    return [secret for secret in (state.private_key, state.self_seed, *pairs, *shares) if secret]


def question(lab: Lab, stage: Stage) -> bytes:
    lab.until(stage)
    return lab.question(ME)


@pytest.mark.parametrize("stage", [Stage.ADVERTISE, Stage.SHARE, Stage.REVEAL])
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
    lab.states[ME] = before
    while lab.hub.stage < Stage.DONE:
        lab.go_on()
    lab.check(lab.total(), lab.names)


def test_earlier_questions_are_answered_again_but_for_that_of_the_vector() -> None:
    lab = Lab(7)
    given: dict[bytes, bytes] = {}
    for stage in STAGES:
        lab.until(stage)
        if stage is Stage.MASK:
            lab.ask()
        else:
            asked = lab.question(ME)
            given[asked] = lab.answer(ME, asked)
        assert {each: lab.answer(ME, each) for each in given} == given
        if stage is Stage.MASK:
            lab.hub.close()


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
    (values,), weight = lab.updates[ME]
    lab.answer(ME, asked)
    kept = lab.states[ME]
    for other in (Update([values + np.float32(0.1)], weight), Update([values], weight + 1), Update([values], weight)):
        with pytest.raises(Rejected, match="an update was masked already"):
            device.answered(kept, asked, other)
    with pytest.raises(Rejected, match="an update was masked already"):
        device.needs_update(kept, asked)


def test_a_vector_takes_an_update() -> None:
    lab = Lab(7)
    asked = question(lab, Stage.MASK)
    assert device.needs_update(lab.states[ME], asked)
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
            found = set(secrets_in(lab.device(ME)))
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
        kept |= set(secrets_in(lab.device(ME)))
    assert secrets_in(lab.device(ME)) == []
    told = lab.state.members[ME].revealed
    assert told
    shares = {share.content for share in [*told.self_seeds, *told.escrow_keys]}
    assert not any(secret in lab.states[ME] for secret in kept - shares)


def test_a_round_that_failed_leaves_no_secret_and_is_not_gone_on_with() -> None:
    lab = Lab(5)
    asked = question(lab, Stage.MASK)
    lab.states[ME] = device.ended(lab.states[ME])
    assert secrets_in(lab.device(ME)) == []
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


def test_an_answer_to_share_holds_no_secret_in_the_clear() -> None:
    lab = Lab(9)
    lab.until(Stage.SHARE)
    answer = lab.answer(ME, lab.question(ME))
    assert isinstance(answer_of(answer), Shared)
    assert not any(secret in answer for secret in secrets_in(lab.device(ME)))
