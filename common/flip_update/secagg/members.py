"""What the hub keeps of a round, so that one that is restarted can go on with it, or end it with the reason.

No secret is in it before shares are revealed; vectors are not in it at all.
"""

from bisect import bisect_left
from enum import IntEnum

from msgspec import Struct

from flip_update.secagg.messages import Parcel, Revealed, Shared
from flip_update.secagg.parameters import Parameters
from flip_update.secagg.ring import Ring


class Stage(IntEnum):
    ADVERTISE = 0
    SHARE = 1
    MASK = 2
    REVEAL = 3
    DONE = 4


class Member(Struct, kw_only=True):
    """One of the devices that the round was begun with."""

    answered: int = 0
    """Stages."""
    refused: str = ""
    """Why it is out of the round."""
    number: int = -1
    """Its place in the circle."""
    public_key: bytes = b""
    shared: Shared | None = None
    opened: list[int] = []
    """Neighbours that it has masked with, and whose shares it holds."""
    revealed: Revealed | None = None


def among(number: int, numbers: list[int]) -> bool:
    """`numbers` in ascending order, as all lists of a state are."""
    place = bisect_left(numbers, number)
    return place < len(numbers) and numbers[place] == number


class HubState(Struct, kw_only=True):
    run: str
    round: int
    parameters: Parameters
    dropout: float
    colluding: float
    members: dict[str, Member]
    """By device."""
    began: int
    """The round in which this one's circle was drawn."""
    renews: bool = False
    """Whether devices are asked to deal for the next round when they reveal: known from `REVEAL` on."""
    stage: Stage = Stage.ADVERTISE
    ring: Ring | None = None
    circle: list[str] = []
    """Devices by their number, from `SHARE` on."""
    sharers: list[int] = []
    """Whose parcels are delivered."""
    counted: list[int] = []
    """Whose vectors are in the sum."""
    dropped: list[int] = []
    """With whom some of those have masked, and who are not among them."""

    @property
    def graph(self) -> Ring:
        assert self.ring  # from `SHARE` on
        return self.ring

    def at(self, number: int) -> Member:
        return self.members[self.circle[number]]

    def asked(self) -> list[str]:
        """Devices that are in the round in this stage, whether they have answered or not."""
        return [d for d, member in self.members.items() if not member.refused and member.answered >= self.stage]

    def left(self) -> list[Member]:
        """Those of them that have answered."""
        return [m for m in self.members.values() if not m.refused and m.answered > self.stage]

    def shared_by(self, number: int) -> Shared:
        shared = self.at(number).shared
        assert shared  # asked for sharers alone
        return shared

    def parcel(self, dealer: int, holder: int) -> Parcel:
        """Of a sharer, for one of its neighbours; as it came, in their order."""
        dealt = self.shared_by(dealer).parcels
        return dealt[bisect_left(dealt, holder, key=lambda parcel: parcel.number)]
