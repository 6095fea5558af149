"""A virtual device's Fleet client: the agent's own, which counts bytes, and which a fault may cut off."""

import threading
from collections.abc import Sequence

from flip_agent.federation.fleet_client import FleetClient
from flip_agent.federation.flower import Instruction, Item, Reply
from flip_agent.federation.node_auth import NodeAuth

_HOLD = 5
"""Seconds, real ones: a device of the lab asks when there is something for it."""
_ARRAYS = b"ArrayChunk "
"""How Flower's objects begin that hold numbers. What is around them differs from run to run by some bytes."""


class PowerCut(Exception):
    """Whatever the device is doing ends here."""


class FleetLine(FleetClient):
    def __init__(self, address: str, auth: NodeAuth, ca: str) -> None:
        super().__init__(address, auth, ca, hold=_HOLD)
        self.came = 0
        """Bytes of arrays that came with the last message."""
        self._fault: Exception | None = None
        self._left = 0
        self._lock = threading.Lock()

    def fail(self, fault: Exception) -> None:
        """The next upload ends in the middle."""
        self._fault = fault

    def mend(self) -> None:
        self._fault = None

    def pull(self, node_id: str) -> Instruction | None:
        self.came = 0
        return super().pull(node_id)

    def pull_object(self, instruction: Instruction, object_id: str) -> Item | None:
        item = super().pull_object(instruction, object_id)
        if item is not None:
            with self._lock:
                self.came += size_of([item])
        return item

    def push(self, instruction: Instruction, reply: Reply, seconds: float) -> tuple[str, list[str]]:
        upload, wanted = super().push(instruction, reply, seconds)
        if self._fault is not None:
            self._left = len(wanted) // 2
        return upload, wanted

    def push_object(self, instruction: Instruction, session: str, item: Item) -> bool:
        if self._fault is not None:
            with self._lock:
                self._left -= 1
                if self._left < 0:
                    raise self._fault
        return super().push_object(instruction, session, item)


def size_of(items: Sequence[Item]) -> int:
    """Bytes of their arrays."""
    return sum(len(item.content) for item in items if item.content.startswith(_ARRAYS))
