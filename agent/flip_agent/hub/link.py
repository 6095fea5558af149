"""Whether the hub answers, and what its clock says: one account for all connections, logged once per change."""

import logging
import time
from collections.abc import AsyncIterator
from enum import Enum, auto

from msgspec import Struct

from flip_agent.watched import Watched

log = logging.getLogger(__name__)


class Phase(Enum):
    WAITING = auto()
    """For enrolment."""
    JOINING = auto()
    CONNECTED = auto()
    LOST = auto()


class LinkState(Struct, frozen=True, kw_only=True):
    phase: Phase
    since: float
    detail: str
    """What is wrong, in words for people; empty when connected."""

    @property
    def connected(self) -> bool:
        return self.phase is Phase.CONNECTED

    @property
    def sentence(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"connected since {when}" if self.connected else f"{self.detail} (since {when})"


class HubLink:
    def __init__(self) -> None:
        self.state = Watched(LinkState(phase=Phase.WAITING, since=time.time(), detail="waiting for enrolment"))
        self.clock_offset = 0.0
        """Seconds to add to this device's clock to get the hub's."""
        self.heard_of = False
        """Whether any answer has come since the start."""

    @property
    def hub_time(self) -> float:
        return time.time() + self.clock_offset

    def joining(self, hub_url: str) -> None:
        self._turn(Phase.JOINING, f"connecting to {hub_url}")

    def heard(self, hub_time: float | None) -> None:
        """An answer came in; `hub_time` is its header `Flip-Time`."""
        self.heard_of = self.heard_of or hub_time is not None
        if hub_time is not None:
            self.clock_offset = hub_time - time.time()

    def works(self) -> None:
        """The hub did what was asked of it."""
        if self._turn(Phase.CONNECTED, ""):
            log.info("hub found")

    def fails(self, why: str) -> None:
        if self._turn(Phase.LOST, f"unreachable: {why}"):
            log.warning("hub lost, trying again", extra={"reason": why})

    def _turn(self, phase: Phase, detail: str) -> bool:
        """Whether the phase has changed; a new reason for the same one is kept, but is no news."""
        before = self.state.value
        news = phase is not before.phase
        self.state.set(LinkState(phase=phase, since=time.time() if news else before.since, detail=detail))
        return news


async def sentences(state: Watched[LinkState]) -> AsyncIterator[str]:
    """How things stand, and again after each change."""
    async for each in state.values():
        yield each.sentence
