"""What a device may answer in a stage: anything else is `Rejected`, with the reason."""

from typing import Literal

from flip_runtime.errors import Rejected
from flip_update.secagg import parcels
from flip_update.secagg.fixed_point import vector_of
from flip_update.secagg.keys import refuse_weak
from flip_update.secagg.masks import SEED
from flip_update.secagg.members import HubState, Member
from flip_update.secagg.messages import Advertised, Masked, Revealed, Share, Shared
from flip_update.secagg.parcels import TAG, Dealing
from flip_update.secagg.questions import delivered, unmasking


def advertised(state: HubState, member: Member, answer: Advertised) -> None:
    refuse_weak(answer.public_key)
    if any(answer.public_key == other.public_key for other in state.members.values()):
        raise Rejected("another device has the same public key")
    member.public_key = answer.public_key


def shared(state: HubState, member: Member, answer: Shared) -> None:
    _refuse_dealt(state, member, answer)
    member.shared = answer


def _refuse_dealt(state: HubState, member: Member, answer: Shared) -> None:
    if [parcel.number for parcel in answer.parcels] != state.graph.neighbours(member.number):
        raise Rejected("the parcels are not for its neighbours")
    if len(answer.escrow) != state.graph.degree * SEED + TAG:
        raise Rejected(f"an escrow of {len(answer.escrow)} bytes for {state.graph.degree} neighbours")


def masked(state: HubState, member: Member, answer: Masked) -> None:
    known = delivered(state, member)
    unopened = set(answer.unopened)
    if not unopened <= set(known):
        raise Rejected("it was given no parcels of the devices that it complains of")
    vector_of(answer.vector, state.parameters)
    member.opened = [number for number in known if number not in unopened]


def revealed(state: HubState, member: Member, answer: Revealed) -> None:
    """A share is the one that its holder was given, or its dealer's commitment says that it is not."""
    wanted = unmasking(state, member)
    self_seeds = [state.parcel(number, member.number).self_seed for number in wanted.sent]
    escrow_keys = [state.parcel(number, member.number).escrow_key for number in wanted.dropped]
    _refuse_others("self seed", answer.self_seeds, wanted.sent, self_seeds, state, member)
    _refuse_others("escrow key", answer.escrow_keys, wanted.dropped, escrow_keys, state, member)
    if [seed.number for seed in answer.mask_seeds] != wanted.dropped:
        raise Rejected("seeds of masks that were not asked for, or not all that were")
    _refuse_renewed(state, member, answer.renewed)
    member.revealed = answer


def _refuse_renewed(state: HubState, member: Member, dealt: Shared | None) -> None:
    if (dealt is not None) != state.renews:
        raise Rejected("shares for the next round that were not asked for, or none that were")
    if dealt is not None:
        if (dealt.run, dealt.round) != (state.run, state.round + 1):
            raise Rejected(f"shares for round {dealt.round} of run {dealt.run}")
        _refuse_dealt(state, member, dealt)


def _refuse_others(
    what: Literal["self seed", "escrow key"],
    shares: list[Share],
    wanted: list[int],
    committed: list[bytes],
    state: HubState,
    member: Member,
) -> None:
    if [share.number for share in shares] != wanted:
        raise Rejected(f"shares of the {what} that were not asked for, or not all that were")
    for share, commitment in zip(shares, committed, strict=True):
        dealing = Dealing(state.run, state.round, share.number, member.number)
        if parcels.commitment(what, share.content, dealing) != commitment:
            raise Rejected(f"its share of the {what} of {state.circle[share.number]} is not what that has dealt")
