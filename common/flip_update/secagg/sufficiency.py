"""Whether enough answered in a stage: of each device's neighbours as many as the threshold says."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from flip_runtime.errors import Rejected
from flip_update.secagg.complaints import Complaint, leaving
from flip_update.secagg.members import HubState, Stage, among
from flip_update.secagg.questions import delivered
from flip_update.secagg.ring import fitting

_WAY_OUT: Final = "more devices, more time for them, or a larger share for dropout"


def refuse_too_few(state: HubState) -> None:
    """Raises `Rejected` that says how many answered and how many are needed, when the stage cannot be closed."""
    match state.stage:
        case Stage.ADVERTISE:
            _refuse_small(state, len(state.left()))
        case Stage.SHARE:
            there = {member.number for member in state.left()}
            _refuse_fewer(state, len(there))
            _refuse_lonely(state, {n: len(there.intersection(state.graph.neighbours(n))) for n in there})
        case Stage.MASK:
            counted = senders(state)
            _refuse_fewer(state, len(counted))
            held = Counter(number for sender in counted for number in state.at(sender).opened)
            _refuse_lonely(state, {number: held[number] for number in counted})
        case _:
            _refuse_hidden(state)


def senders(state: HubState) -> list[int]:
    """Whose vectors count: those that sent one, without those who leave because of complaints."""
    return sorted({member.number for member in state.left()}.difference(blamed(state)))


def blamed(state: HubState) -> list[int]:
    """Who leaves. Only complaints between devices that both sent a vector matter: all other masks can be removed."""
    sent = {member.number: member for member in state.left()}
    return leaving(
        Complaint(number, other)
        for number, member in sent.items()
        for other in delivered(state, member)
        if other in sent and other not in member.opened
    )


def _refuse_fewer(state: HubState, left: int) -> None:
    if left < state.parameters.least:
        raise Rejected(f"{_told(state)}: {left} are left, {state.parameters.least} are needed", hint=_WAY_OUT)


def _refuse_small(state: HubState, answered: int) -> None:
    _refuse_fewer(state, answered)
    try:
        fitting(answered, state.dropout, state.colluding, state.parameters.least)
    except Rejected as error:
        raise Rejected(f"{_told(state)}: {error}") from error


def _refuse_hidden(state: HubState) -> None:
    """A self seed takes the threshold's shares. So does an escrow, unless all who masked with the device are there."""
    there = {member.number: member for member in state.left()}
    held = Counter(number for member in there.values() for number in member.opened)
    lacking = {
        number
        for sender in state.counted
        if sender not in there
        for number in state.at(sender).opened
        if among(number, state.dropped)
    }
    _refuse_lonely(state, {number: held[number] for number in (*state.counted, *lacking)})


def _refuse_lonely(state: HubState, left: Mapping[int, int]) -> None:
    """`left`: of each device, how many of its neighbours are."""
    number = min(left, key=lambda each: (left[each], each))
    if left[number] < state.graph.threshold:
        raise Rejected(
            f"{_told(state)}: {left[number]} of the {state.graph.degree} neighbours of {state.circle[number]} are left,"
            f" {state.graph.threshold} are needed",
            hint=_WAY_OUT,
        )


def _told(state: HubState) -> str:
    return f"stage {state.stage.name.lower()}: {len(state.left())} of {len(state.asked())} devices have answered"
