"""Devices that answer what they should not are out of the round, with the reason; it goes on without them."""

import os
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from msgspec import structs

from flip_runtime.errors import Rejected
from flip_update.secagg import device
from flip_update.secagg.members import Stage
from flip_update.secagg.messages import (
    Advertised,
    Answer,
    Masked,
    Revealed,
    Seed,
    Share,
    answer_of,
    encode,
)
from flip_update.secagg.shamir import PRIME, SHARE
from secagg_lab import RUN, WRONG, Lab, at, bent

_NOTHING = Revealed(run=RUN, round=1, self_seeds=[], escrow_keys=[], mask_seeds=[])
Change = Callable[..., Answer]


def _bent_share(answer: Revealed) -> Revealed:
    first, *rest = answer.self_seeds
    return structs.replace(answer, self_seeds=[Share(first.number, bent(first.content)), *rest])


@pytest.mark.parametrize(
    ("stage", "change", "reason"),
    [
        (Stage.ADVERTISE, lambda a: structs.replace(a, public_key=bytes(32)), "low order"),
        (Stage.ADVERTISE, lambda a: structs.replace(a, round=2), "an answer for round 2 of run 7"),
        (Stage.ADVERTISE, lambda a: structs.replace(a, run="8"), "an answer for round 1 of run 8"),
        (Stage.ADVERTISE, lambda _: _NOTHING, "Revealed is no answer in stage advertise"),
        (Stage.SHARE, lambda a: structs.replace(a, parcels=a.parcels[1:]), "not for its neighbours"),
        (Stage.SHARE, lambda a: structs.replace(a, parcels=[*a.parcels, a.parcels[0]]), "not for its neighbours"),
        (Stage.SHARE, lambda a: structs.replace(a, escrow=a.escrow[:-1]), "an escrow of 271 bytes for 8 neighbours"),
        (Stage.MASK, lambda a: structs.replace(a, vector=a.vector[:-4]), "a masked vector of 24 bytes instead of 28"),
        (Stage.MASK, lambda a: structs.replace(a, vector=memoryview(b"")), "a masked vector of 0 bytes"),
        (Stage.MASK, lambda a: structs.replace(a, unopened=[99]), "it was given no parcels"),
        (Stage.REVEAL, _bent_share, "its share of the self seed of device-.* is not what that has dealt"),
        (Stage.REVEAL, lambda a: structs.replace(a, self_seeds=a.self_seeds[1:]), "or not all that were"),
    ],
)
def test_the_round_goes_on_without_who_answers_wrongly(stage: Stage, change: Change, reason: str) -> None:
    lab = Lab(9)
    refused = lab.play(at(stage, change))
    assert list(refused) == [WRONG]
    with pytest.raises(Rejected, match=reason):
        raise Rejected(refused[WRONG])
    sent = stage is Stage.REVEAL
    lab.check(lab.total(), [name for name in lab.names if name != WRONG or sent])


@pytest.mark.parametrize("stage", [Stage.ADVERTISE, Stage.SHARE, Stage.MASK, Stage.REVEAL])
@pytest.mark.parametrize("answer", [b"", b"\xff" * 9, msgspec.msgpack.encode({"type": "Shared", "run": "7"})])
def test_what_is_no_message_puts_its_device_out(stage: Stage, answer: bytes) -> None:
    lab = Lab(9)
    refused = lab.play({WRONG: lambda now, _, right: answer if now is stage else right})
    assert "no message of secure aggregation" in refused[WRONG]
    lab.check(lab.total(), [name for name in lab.names if name != WRONG or stage is Stage.REVEAL])


def test_a_key_that_somebody_else_has_is_refused() -> None:
    lab = Lab(9)
    lab.ask(absent=[WRONG])
    theirs = lab.state.members[lab.names[0]].public_key
    with pytest.raises(Rejected, match="another device has the same public key"):
        lab.hub.take(WRONG, encode(Advertised(run=RUN, round=1, public_key=theirs)))
    lab.hub.close()
    lab.until(Stage.DONE)
    lab.check(lab.total(), [name for name in lab.names if name != WRONG])


def test_strangers_late_ones_and_second_answers_do_not_count_and_change_nothing() -> None:
    lab = Lab(9)
    answer = lab.answer(WRONG, lab.question(WRONG))
    with pytest.raises(Rejected, match="nobody is not in this round"):
        lab.hub.take("nobody", answer)
    lab.hub.take(WRONG, answer)
    other = encode(Advertised(run=RUN, round=1, public_key=os.urandom(32)))
    for again in (answer, other):
        with pytest.raises(Rejected, match="has answered already"):
            lab.hub.take(WRONG, again)
    lab.go_on(absent=["device-8"])
    with pytest.raises(Rejected, match=r"device-8 is too late .*stage share"):
        lab.hub.take("device-8", answer)
    lab.until(Stage.DONE)
    with pytest.raises(Rejected, match=rf"{WRONG} is too late .*stage done"):
        lab.hub.take(WRONG, answer)
    assert lab.hub.refused() == {}
    lab.check(lab.total(), lab.names[:8])


def test_who_was_refused_is_not_heard_again() -> None:
    lab = Lab(9)
    answer = lab.answer(WRONG, lab.question(WRONG))
    lab.hub.refuse(WRONG, "its disk is full")
    assert WRONG not in lab.hub.waiting()
    for again in (lambda: lab.hub.take(WRONG, answer), lambda: lab.hub.refuse(WRONG, "again")):
        with pytest.raises(Rejected, match="out of this round: its disk is full"):
            again()


# ---- what nobody can check before the end ----


def test_words_that_are_no_masked_update_are_found_in_the_sum() -> None:
    lab = Lab(9, length=64)
    lab.play(at(Stage.MASK, lambda a: structs.replace(a, vector=memoryview(os.urandom(len(a.vector))))))
    with pytest.raises(Rejected, match="the sum over 9 devices is none of updates"):
        lab.total()


def test_a_false_seed_of_a_mask_is_found_in_the_sum() -> None:
    lab = Lab(9, length=64)
    lab.until(Stage.MASK)
    lab.go_on(absent=["device-3"])

    def changed(answer: Revealed) -> Revealed:
        return structs.replace(answer, mask_seeds=[Seed(each.number, os.urandom(32)) for each in answer.mask_seeds])

    lab.go_on(tamper=at(Stage.REVEAL, changed))
    with pytest.raises(Rejected, match="none of updates"):
        lab.total()


def test_a_share_beyond_the_field_is_refused_by_its_commitment() -> None:
    lab = Lab(9)

    def changed(answer: Revealed) -> Revealed:
        first, *rest = answer.self_seeds
        same = int.from_bytes(first.content) + PRIME
        return structs.replace(answer, self_seeds=[Share(first.number, same.to_bytes(SHARE)), *rest])

    refused = lab.play(at(Stage.REVEAL, changed))
    assert "is not what that has dealt" in refused[WRONG]
    lab.check(lab.total(), lab.names)


def test_a_vector_alone_tells_the_hub_nothing() -> None:
    """Chi squared of the bytes of one masked vector, against those of random words: 255 degrees of freedom."""
    lab = Lab(5, length=2**16)
    lab.updates = {name: device.Update([np.zeros(2**16, np.float32)], 1) for name in lab.names}
    lab.until(Stage.REVEAL)
    for answer in lab.masked.values():
        masked = answer_of(answer)
        assert isinstance(masked, Masked)
        counts = np.bincount(np.frombuffer(masked.vector, np.uint8), minlength=256)
        expected = counts.sum() / 256
        assert ((counts - expected) ** 2 / expected).sum() < 400  # passed by chance once in 10**8 times
    lab.go_on()
    assert not lab.total().mean.any()
