"""What the hub asks one device in a stage, from what others have answered before."""

from msgspec import structs

from flip_update.secagg.members import HubState, Member, Stage, among
from flip_update.secagg.messages import Delivery, Neighbour, Neighbourhood, Question, Renewal, Setup, Unmasking


def question(state: HubState, member: Member) -> Question:
    """`Stage.DONE` asks nothing."""
    match state.stage:
        case Stage.ADVERTISE:
            return Setup(run=state.run, round=state.round, parameters=state.parameters)
        case Stage.SHARE if state.round > state.began:
            return Renewal(run=state.run, round=state.round)
        case Stage.SHARE:
            near = [Neighbour(n, state.at(n).public_key) for n in state.graph.neighbours(member.number)]
            return Neighbourhood(
                run=state.run, round=state.round, number=member.number, ring=state.graph, neighbours=near
            )
        case Stage.MASK:
            dealt = [
                structs.replace(state.parcel(dealer, member.number), number=dealer)
                for dealer in delivered(state, member)
            ]
            return Delivery(run=state.run, round=state.round, parcels=dealt)
        case _:
            return unmasking(state, member)


def delivered(state: HubState, member: Member) -> list[int]:
    """Whose parcels a device is given: its neighbours' that have shared."""
    return [number for number in state.graph.neighbours(member.number) if among(number, state.sharers)]


def unmasking(state: HubState, member: Member) -> Unmasking:
    return Unmasking(
        run=state.run,
        round=state.round,
        sent=[number for number in member.opened if among(number, state.counted)],
        dropped=[number for number in member.opened if among(number, state.dropped)],
        renews=state.renews,
    )
