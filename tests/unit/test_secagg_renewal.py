"""A circle serves several rounds: two questions each, fresh secrets for each, and nobody is lost for what it missed."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from msgspec import structs

from flip_runtime.errors import Rejected
from flip_update.secagg import device
from flip_update.secagg.device_round import DeviceRound
from flip_update.secagg.keys import ROUNDS
from flip_update.secagg.members import Stage
from flip_update.secagg.messages import (
    Delivery,
    Neighbourhood,
    Renewal,
    Revealed,
    Setup,
    Shared,
    Unmasking,
    answer_of,
    encode,
    question_of,
)
from secagg_lab import RUN, WRONG, Lab, at

ME = "device-0"


def lab_of(devices: int = 9) -> Lab:
    """After a first round of a circle that goes on."""
    lab = Lab(devices)
    lab.renews = True
    lab.until(Stage.DONE)
    lab.check(lab.total(), lab.names)
    return lab


def secrets_in(state: DeviceRound) -> set[bytes]:
    """Its own; of shares of others' it gives half to the hub."""
    pairs = [part for pair in state.pairs for part in (pair.parcel_key, pair.mask_seed, pair.following)]
    return {secret for secret in (state.private_key, state.self_seed, *pairs) if secret}


def test_in_a_round_that_goes_on_each_device_is_asked_two_questions() -> None:
    lab = lab_of()
    asked: list[type] = []
    for _ in range(3):
        lab.follow()
        while lab.hub.stage < Stage.DONE:
            asked += [type(question_of(question)) for _, question in lab.hub.questions()]
            lab.go_on()
        lab.check(lab.total(), lab.names)
    assert asked == [*[Delivery] * 9, *[Unmasking] * 9] * 3


def test_whoever_drops_out_wherever_is_back_in_the_next_round() -> None:
    lab, chance = lab_of(), Random(5)
    for _ in range(ROUNDS - 1):
        lab.follow()
        absent = chance.sample(lab.names, chance.randint(0, 3))
        left = [name for name in lab.names if name not in absent or name not in lab.hub.waiting()]
        lab.go_on(absent=absent)
        absent = chance.sample(left, len(left) - chance.randint(6, len(left)))
        left = [name for name in left if name not in absent]
        lab.go_on(absent=absent)
        lab.go_on(absent=chance.sample(left, len(left) - 6))
        lab.check(lab.total(), left)
    assert lab.hub.following() is None, "the keys are used up"
    lab.begin()
    lab.until(Stage.DONE)
    lab.check(lab.total(), lab.names)


def test_a_device_that_missed_several_rounds_catches_up() -> None:
    lab = lab_of()
    for _ in range(3):
        lab.follow()
        for _ in (Stage.SHARE, Stage.MASK):
            lab.go_on(absent=[ME])
        lab.until(Stage.DONE)
        lab.check(lab.total(), lab.names[1:])
    lab.follow()
    assert lab.question(ME) == encode(Renewal(run=RUN, round=5))
    lab.until(Stage.DONE)
    lab.check(lab.total(), lab.names)


def test_what_was_dealt_with_an_answer_that_was_lost_is_dealt_again() -> None:
    lab = Lab(9)
    lab.renews = True
    lab.until(Stage.REVEAL)
    lost = answer_of(lab.answer(ME, lab.question(ME)))
    assert isinstance(lost, Revealed)
    lab.go_on(absent=[ME])
    lab.follow()
    kept = lab.states[ME]
    again = lab.answer(ME, lab.question(ME))
    assert answer_of(again) == lost.renewed
    assert lab.states[ME] == kept
    lab.until(Stage.DONE)
    lab.check(lab.total(), lab.names)


def test_a_device_that_dies_after_it_went_on_reveals_the_same_again() -> None:
    lab = Lab(9)
    lab.renews = True
    lab.until(Stage.REVEAL)
    asked = lab.question(ME)
    first, kept = lab.answer(ME, asked), lab.states[ME]
    assert lab.answer(ME, asked) == first
    assert lab.states[ME] == kept


def test_no_secret_serves_two_rounds_and_none_of_a_round_outlives_it() -> None:
    lab = Lab(9)
    lab.renews = True
    lab.until(Stage.MASK)
    seen: set[bytes] = set()
    for _ in range(4):
        lab.ask()
        found = secrets_in(lab.device(ME))
        assert found
        assert not found & seen
        assert not any(secret in lab.states[ME] for secret in seen)
        seen |= found
        lab.hub.close(renews=True)
        lab.until(Stage.DONE)
        lab.follow()
        lab.go_on()


def test_the_same_model_and_update_look_different_in_every_round() -> None:
    lab = lab_of()
    before = dict(lab.masked)
    lab.follow()
    lab.until(Stage.DONE)
    assert all(lab.masked[name] != before[name] for name in lab.names)


def _earlier(lab: Lab) -> list[bytes]:
    """Questions of rounds that are over, and those of this one that were not asked."""
    question = question_of(lab.question(ME))
    assert isinstance(question, Delivery)
    return [
        encode(structs.replace(question, round=1)),
        encode(Renewal(run=RUN, round=1)),
        encode(Renewal(run="8", round=3)),
        encode(Setup(run=RUN, round=2, parameters=lab.parameters)),
        encode(Neighbourhood(run=RUN, round=2, number=0, ring=lab.ring, neighbours=[])),
        encode(Unmasking(run=RUN, round=2, sent=[], dropped=[])),
        encode(Unmasking(run=RUN, round=1, sent=[], dropped=[])),
    ]


def test_a_question_of_a_round_that_is_over_is_refused_and_nobody_trains_for_it() -> None:
    lab = lab_of()
    lab.follow()
    lab.go_on()
    before = lab.states[ME]
    for asked in _earlier(lab):
        with pytest.raises(Rejected):
            device.needs_update(before, asked)
        with pytest.raises(Rejected):
            device.answered(before, asked, lab.updates[ME])


def test_keys_serve_no_more_rounds_than_they_are_for() -> None:
    lab = lab_of()
    last = encode(Renewal(run=RUN, round=ROUNDS))
    lab.answer(ME, last)
    with pytest.raises(Rejected, match=f"they serve {ROUNDS} numbers"):
        lab.answer(ME, encode(Renewal(run=RUN, round=ROUNDS + 1)))
    with pytest.raises(Rejected, match=f"they serve {ROUNDS} numbers"):
        lab.answer(lab.names[1], encode(Renewal(run=RUN, round=2**62)))


def test_a_round_that_was_ended_is_not_renewed() -> None:
    lab = lab_of()
    lab.states[ME] = device.ended(lab.states[ME])
    assert secrets_in(lab.device(ME)) == set()
    with pytest.raises(Rejected, match="its secrets are gone"):
        lab.answer(ME, encode(Renewal(run=RUN, round=3)))


def test_a_device_without_keys_has_none_to_renew() -> None:
    for state in (device.NEW, device.answered(device.NEW, Lab(9).question(ME)).state):
        with pytest.raises(Rejected):
            device.answered(state, encode(Renewal(run=RUN, round=2)))


def _unasked(answer: Revealed) -> Revealed:
    return structs.replace(answer, renewed=None)


def _of_another_round(answer: Revealed) -> Revealed:
    assert answer.renewed
    return structs.replace(answer, renewed=structs.replace(answer.renewed, round=1))


def _to_others(answer: Revealed) -> Revealed:
    assert answer.renewed
    return structs.replace(answer, renewed=structs.replace(answer.renewed, parcels=answer.renewed.parcels[1:]))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_unasked, "or none that were"),
        (_of_another_round, "shares for round 1 of run 7"),
        (_to_others, "the parcels are not for its neighbours"),
    ],
)
def test_who_deals_wrongly_for_the_next_round_is_refused_and_a_new_circle_is_needed(
    change: Callable[..., Any], reason: str
) -> None:
    lab = Lab(9)
    lab.renews = True
    refused = lab.play(at(Stage.REVEAL, change))
    assert reason in refused[WRONG]
    lab.check(lab.total(), lab.names)
    assert lab.hub.following() is None


def test_shares_that_nobody_asked_for_are_refused() -> None:
    lab = Lab(9)
    dealt: list[Shared] = []

    def kept(answer: Shared) -> Shared:
        dealt.append(answer)
        return answer

    refused = lab.play({**at(Stage.SHARE, kept)})
    assert refused == {}
    lab.begin()
    refused = lab.play(at(Stage.REVEAL, lambda answer: structs.replace(answer, renewed=dealt[0])))
    assert "that were not asked for" in refused[WRONG]


@pytest.mark.parametrize("stage", [Stage.ADVERTISE, Stage.SHARE])
def test_a_circle_whose_keys_not_all_devices_have_serves_one_round(stage: Stage) -> None:
    lab = Lab(9)
    lab.renews = True
    lab.until(stage)
    lab.go_on(absent=[ME])
    lab.until(Stage.DONE)
    lab.check(lab.total(), lab.names[1:])
    following = lab.hub.following()
    assert (following is not None) == (stage is Stage.ADVERTISE), "who never advertised is not of the circle"
    assert following is None or ME not in following.devices()


def test_a_round_that_is_not_over_has_none_that_follows() -> None:
    lab = Lab(9)
    lab.renews = True
    for stage in (Stage.ADVERTISE, Stage.MASK, Stage.REVEAL):
        lab.until(stage)
        assert lab.hub.following() is None
