"""Whether two agents live with one key: a clone.

An agent draws the name of its life when it starts, and signs it into its assertions; each of its tokens names it. When
it is restarted another life is heard, and of the earlier one only what was on its way: one request for each of its
connections. A life that comes back more often, although a younger one was heard, is not over. So restarts, reboots and
delayed requests never look like a clone, whatever the order in which they arrive.
"""

from msgspec import Struct
from msgspec.structs import replace

ON_THE_WAY = 3
"""Requests that a dead agent may have left in the network: it has three connections, with one request each."""
_KEPT = 8
"""Lives; those heard last."""


class Call(Struct, frozen=True, kw_only=True):
    """What a device's request tells beside what it asks."""

    wire_version: int
    life: str = ""
    """Empty for an agent that does not tell."""
    born: float = 0.0
    """When the token was issued, by the hub's clock."""
    address: str = ""
    """That the request came from, as far as the hub can tell."""


class Life(Struct, frozen=True, kw_only=True):
    """An agent from one start to its end, as it was heard when it took over from another."""

    id: str
    born: float
    """When the first of its tokens that was seen had been issued."""
    heard: float
    """When it last took over."""
    address: str = ""
    returns: int = 0
    """How often it took over although a younger one had been heard."""


class Clone(Struct, frozen=True, kw_only=True):
    """Two agents have this device's key; stop one, and enrol it with a key of its own."""

    since: float
    lives: list[Life]
    """The two, the one that was heard last at the end."""


def heard(lives: list[Life], call: Call, now: float) -> list[Life]:
    """The lives after this call, the speaker last; the same list when it spoke last before, too."""
    if not call.life or (lives and lives[-1].id == call.life):
        return lives
    others = [life for life in lives if life.id != call.life]
    known = next((life for life in lives if life.id == call.life), None)
    if known is None:
        speaker = Life(id=call.life, born=call.born, heard=now, address=call.address)
    else:
        returned = any(other.born > known.born for other in others)
        speaker = replace(known, heard=now, address=call.address, returns=known.returns + returned)
    return [*others, speaker][-_KEPT:]


def clone(lives: list[Life], now: float) -> Clone | None:
    """The speaker and the one before, once both are known to live."""
    if len(lives) < 2 or all(life.returns <= ON_THE_WAY for life in lives):
        return None
    return Clone(since=now, lives=lives[-2:])
