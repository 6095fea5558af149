"""What one hub process tells the others, so that none of them shows or trusts for long what another has changed.

A message is a hint to look again, or a frame for whoever watches: it may be lost. So whoever listens also reads the
registry again after a few seconds, and `on_gap` says when more than single messages may have been missed.
"""

import logging
from collections import defaultdict
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

log = logging.getLogger(__name__)


class Topic(StrEnum):
    LIVE = "live"
    """A frame for consoles, as `flip_hub.live` encodes it."""
    DEVICE = "device"
    """A device's id: its record has changed, or it was revoked."""
    DESIRED = "desired"
    """What the fleet shall do has changed."""
    ROLLOUT = "rollout"
    """A rollout's id: something was decided about it."""
    USER = "user"
    """A user's name: sessions have ended, or the role has changed."""


Handler = Callable[[bytes], None]


class Link(Protocol):
    """The way to the other hubs."""

    def offer(self, topic: Topic, payload: bytes) -> None:
        """Never waits."""
        ...


class Bus:
    def __init__(self) -> None:
        self._handlers: dict[Topic, list[Handler]] = defaultdict(list)
        self._gap_handlers: list[Callable[[], None]] = []
        self._link: Link | None = None

    def connect(self, link: Link) -> None:
        """From now on the others hear what is told here."""
        self._link = link

    @property
    def linked(self) -> bool:
        """Whether there may be others who hear."""
        return self._link is not None

    def on(self, topic: Topic, handler: Handler) -> None:
        """`handler` is quick and never waits; it hears what this hub tells, too."""
        self._handlers[topic].append(handler)

    def on_gap(self, handler: Callable[[], None]) -> None:
        """Called when messages of the other hubs may have been missed: forget, and read again."""
        self._gap_handlers.append(handler)

    def tell(self, topic: Topic, payload: bytes) -> None:
        """The handlers of this hub are called at once, those of the others soon. Never waits."""
        self.heard(topic, payload)
        if self._link is not None:
            self._link.offer(topic, payload)

    def heard(self, topic: Topic, payload: bytes) -> None:
        """From another hub."""
        for handler in self._handlers[topic]:
            handler(payload)

    def missed(self) -> None:
        for handler in self._gap_handlers:
            handler()
