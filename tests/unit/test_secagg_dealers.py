"""What is dealt wrongly hurts its dealer alone: shares that do not open, or that make no secret."""

import os
from collections.abc import Callable, Mapping

import pytest
from msgspec import structs

from flip_runtime.errors import Rejected
from flip_update.secagg import parcels
from flip_update.secagg.complaints import Complaint, leaving
from flip_update.secagg.members import Stage
from flip_update.secagg.messages import (
    Masked,
    Parcel,
    Shared,
)
from flip_update.secagg.parcels import Dealing, Shares
from flip_update.secagg.shamir import split
from secagg_lab import RUN, WRONG, Lab, Tamper, at, bent


def dealt(lab: Lab, change: Callable[[Parcel, Dealing], Parcel], holders: int) -> Mapping[str, Tamper]:
    """Wrong parcels for so many of its neighbours."""

    def changed(answer: Shared) -> Shared:
        number = lab.device(WRONG).number
        wrong = [change(p, Dealing(RUN, lab.round, number, p.number)) for p in answer.parcels[:holders]]
        return structs.replace(answer, parcels=[*wrong, *answer.parcels[holders:]])

    return at(Stage.SHARE, changed)


def closed_wrongly(parcel: Parcel, _: Dealing) -> Parcel:
    return structs.replace(parcel, content=bent(parcel.content))


def committed_wrongly(parcel: Parcel, _: Dealing) -> Parcel:
    return structs.replace(parcel, escrow_key=bytes(32))


@pytest.mark.parametrize("change", [closed_wrongly, committed_wrongly])
@pytest.mark.parametrize("holders", [1, 2, 5, 8])
@pytest.mark.parametrize("sends", [True, False])
def test_whose_parcels_do_not_open_is_left_out_though_its_neighbours_have_masked_with_it(
    change: Callable[[Parcel, Dealing], Parcel], holders: int, sends: bool
) -> None:
    lab = Lab(9)
    tamper = dealt(lab, change, holders)
    lab.go_on()
    lab.go_on(tamper=tamper)
    lab.go_on(absent=[] if sends else [WRONG])
    assert list(lab.hub.refused()) == ([WRONG] if sends else [])
    lab.go_on()
    lab.check(lab.total(), [name for name in lab.names if name != WRONG])


def test_who_complains_of_all_its_neighbours_is_left_out_and_not_they() -> None:
    lab = Lab(9)

    def complain(answer: Masked) -> Masked:
        return structs.replace(answer, unopened=[pair.number for pair in lab.device(WRONG).pairs])

    refused = lab.play(at(Stage.MASK, complain))
    assert list(refused) == [WRONG]
    lab.check(lab.total(), [name for name in lab.names if name != WRONG])


def redealt(lab: Lab, degree: int) -> Mapping[str, Tamper]:
    """Shares of a polynomial of another degree, all of them closed and committed to as they should be."""

    def changed(answer: Shared) -> Shared:
        state = lab.device(WRONG)
        holders = [parcel.number for parcel in answer.parcels]
        first, second = (split(os.urandom(32), holders, degree + 1) for _ in range(2))
        made = [
            parcels.parcel(Shares(one, two), pair, Dealing(RUN, lab.round, state.number, pair.number))
            for pair, one, two in zip(state.pairs, first, second, strict=True)
        ]
        return structs.replace(answer, parcels=made)

    return at(Stage.SHARE, changed)


def test_shares_that_make_another_secret_end_the_round_and_say_whose_they_are() -> None:
    lab = Lab(9)
    assert lab.play(redealt(lab, degree=7)) == {}
    with pytest.raises(Rejected, match=rf"{WRONG} cannot be unmasked: .*\(the next round can do without {WRONG}\)"):
        lab.total()
    assert "the shares that it has dealt are wrong" in lab.hub.refused()[WRONG]


def test_such_shares_do_no_harm_when_their_dealer_drops_out() -> None:
    lab = Lab(9)
    lab.go_on()
    lab.go_on(tamper=redealt(lab, degree=7))
    lab.go_on(absent=[WRONG])
    lab.go_on()
    lab.check(lab.total(), [name for name in lab.names if name != WRONG])


def test_such_shares_and_a_neighbour_that_is_gone_are_said_to_be_the_reason() -> None:
    lab = Lab(9)
    lab.go_on()
    lab.go_on(tamper=redealt(lab, degree=7))
    lab.go_on(absent=[WRONG])
    lab.go_on(absent=["device-2"])
    with pytest.raises(Rejected, match=f"masks of neighbours with {WRONG}, which dropped out, stay on"):
        lab.total()


def test_who_is_not_in_the_sum_cannot_spoil_it_with_its_escrow() -> None:
    lab = Lab(9)

    def changed(answer: Shared) -> Shared:
        return structs.replace(answer, escrow=os.urandom(len(answer.escrow)))

    lab.go_on()
    lab.go_on(tamper=at(Stage.SHARE, changed))
    lab.go_on(absent=[WRONG])
    lab.go_on()
    lab.check(lab.total(), [name for name in lab.names if name != WRONG])


@pytest.mark.parametrize(
    ("complaints", "gone"),
    [
        ([], []),
        ([(1, 2)], [2]),
        ([(1, 2), (2, 1)], [2]),
        ([(1, 2), (3, 2)], [2]),
        ([(2, 1), (2, 3)], [2]),
        ([(1, 2), (3, 4), (3, 5)], [3, 2]),
    ],
)
def test_as_few_as_possible_leave_because_of_complaints(complaints: list[tuple[int, int]], gone: list[int]) -> None:
    assert leaving(Complaint(*complaint) for complaint in complaints) == gone
