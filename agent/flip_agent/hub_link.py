"""Whether the hub answers, and what its clock says: one account for all connections, logged once per change."""

import logging
import time

from msgspec import Struct

from flip_agent.watched import Watched

log = logging.getLogger(__name__)


class LinkState(Struct, frozen=True, kw_only=True):
    connected: bool
    since: float
    detail: str
    """What is wrong, in words for people; empty when connected."""

    @property
    def sentence(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"connected since {when}" if self.connected else f"{self.detail} (since {when})"


class HubLink:
    def __init__(self) -> None:
        self.state = Watched(LinkState(connected=False, since=time.time(), detail="waiting for enrolment"))
        self.clock_offset = 0.0
        """Seconds to add to this device's clock to get the hub's."""

    @property
    def hub_time(self) -> float:
        return time.time() + self.clock_offset

    def joining(self, hub_url: str) -> None:
        self._turn(connected=False, detail=f"connecting to {hub_url}")

    def heard(self, hub_time: float | None) -> None:
        """An answer came in; `hub_time` is its header `Flip-Time`."""
        if hub_time is not None:
            self.clock_offset = hub_time - time.time()

    def works(self) -> None:
        """The hub did what was asked of it."""
        if not self.state.value.connected:
            log.info("hub found")
            self._turn(connected=True, detail="")

    def fails(self, why: str) -> None:
        state = self.state.value
        if state.connected or not state.detail.startswith("unreachable: "):
            log.warning("hub lost, trying again", extra={"reason": why})
            self._turn(connected=False, detail=f"unreachable: {why}")

    def _turn(self, *, connected: bool, detail: str) -> None:
        self.state.set(LinkState(connected=connected, since=time.time(), detail=detail))
