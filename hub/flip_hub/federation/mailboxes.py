"""Who waits at the gateway: a pull that came back empty sleeps here until the ServerApp has written to its node, and
a device that asks what became of its reply until the ServerApp has seen it (by the message's id) or its run has ended.

No wake-up is lost as long as a listener looks at the SuperLink after `listen` and before it waits: what was written
before that look is found by it, what is written later sets the event. Nothing is remembered for nodes that do not
listen.
"""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager


class Mailboxes:
    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def listen(self, *names: str) -> Generator[asyncio.Event]:
        """Gives an event that is set once one of them is woken."""
        woken = asyncio.Event()
        for name in names:
            self._listeners.setdefault(name, set()).add(woken)
        try:
            yield woken
        finally:
            for name in names:
                self._listeners[name].discard(woken)
                if not self._listeners[name]:
                    del self._listeners[name]

    def wake(self, names: Sequence[str]) -> None:
        """Flower's ids of nodes and runs as decimal strings, of messages as hexadecimal ones."""
        for name in names:
            for woken in self._listeners.get(name, ()):
                woken.set()

    def wake_all(self) -> None:
        """Ends every wait, when the gateway stops."""
        self.wake(list(self._listeners))

    @property
    def waiting(self) -> int:
        """How many pulls listen now."""
        return sum(map(len, self._listeners.values()))
