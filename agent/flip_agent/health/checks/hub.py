"""The way to the hub, and what its clock says."""

from flip_agent.health.checks.check import Check
from flip_agent.health.conditions import CLOCK_SKEW, HUB_UNREACHABLE
from flip_agent.hub.link import HubLink, Phase

CLOCK_TOLERANCE = 5.0
"""Seconds: a Flower signature from further ahead is refused."""


def hub(link: HubLink) -> Check:
    def look() -> str:
        state = link.state.value
        return "" if state.phase is Phase.WAITING else state.detail

    return Check(HUB_UNREACHABLE, look)


def clock(link: HubLink) -> Check:
    return Check(CLOCK_SKEW, lambda: skew(link.clock_offset))


def skew(offset: float) -> str:
    """`offset`: seconds to add to this device's clock to get the hub's."""
    if abs(offset) <= CLOCK_TOLERANCE:
        return ""
    return f"this clock is {abs(offset):.0f} s {'behind' if offset > 0 else 'ahead'}"
