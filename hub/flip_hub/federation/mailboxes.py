"""Who waits for messages: a pull that came back empty sleeps here until the ServerApp has written to its node.

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
    def listen(self, node_id: str) -> Generator[asyncio.Event]:
        """Gives an event that is set once something was written to the node."""
        written = asyncio.Event()
        self._listeners.setdefault(node_id, set()).add(written)
        try:
            yield written
        finally:
            self._listeners[node_id].discard(written)
            if not self._listeners[node_id]:
                del self._listeners[node_id]

    def wake(self, node_ids: Sequence[str]) -> None:
        """Flower's node ids, as decimal strings."""
        for node_id in node_ids:
            for written in self._listeners.get(node_id, ()):
                written.set()

    def wake_all(self) -> None:
        """Ends every wait, when the gateway stops."""
        self.wake(list(self._listeners))

    @property
    def waiting(self) -> int:
        """How many pulls listen now."""
        return sum(map(len, self._listeners.values()))
