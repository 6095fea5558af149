"""Which devices a ring of a rollout reaches: by tag, by site, and by a place that a hash draws.

Pure: a device has one place in each rollout, whichever hub asks and whenever it joined the fleet. So what a device
shall serve follows from its record and the state of the fleet alone.
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from flip_wire.fleet import DeviceId

_BITS = 53
"""Of a hash, so many as a float holds exactly."""


class Located(Protocol):
    """A device, as far as rings care."""

    @property
    def id(self) -> DeviceId: ...
    @property
    def tags(self) -> list[str]: ...
    @property
    def site(self) -> str: ...


class Reach(Struct, frozen=True, kw_only=True):
    """Devices with one of the tags, at one of the sites, whose place is below that; empty lists let all pass."""

    below: float = 1.0
    tags: list[str] = []
    sites: list[str] = []
    since: float = 0.0
    """When it began to be reached."""

    def names(self, device: Located) -> bool:
        """Whether it is one of those whose place counts."""
        return (not self.tags or not set(self.tags).isdisjoint(device.tags)) and (
            not self.sites or device.site in self.sites
        )


def place(rollout: str, device_id: str) -> float:
    """In [0, 1), evenly: the first 53 bits of SHA-256 over both ids."""
    digest = hashlib.sha256(f"{rollout} {device_id}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> (64 - _BITS)) / 2**_BITS


def ring_of(rollout: str, reaches: Sequence[Reach], device: Located) -> int | None:
    """The first ring that it is in."""
    for number, reach in enumerate(reaches):
        if reach.names(device) and (reach.below >= 1 or place(rollout, device.id) < reach.below):
            return number
    return None
