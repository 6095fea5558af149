"""Devices on a clock of their own: a Flower Grid that real strategies run on, in this process, faster than real time.

A device's work takes as long as its pace says; that it computes what it answers costs no simulated time. One that is
given an instruction leaves an older one to the same end, as if it had never begun. So a round that ends at its deadline
costs a synchronous strategy nothing but what was not finished: kinder to it than a real device.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from flwr.app import Message
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

Pace = Callable[[int], float | None]
"""Of a node, drawn anew for each instruction: seconds until its answer; None: it drops out, and never answers."""
Answer = Callable[[Message], Message]
"""What the device that a message is for replies to it."""


class SimulatedClock:
    """Seconds since the simulation began."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds

    def wait_for(self, moment: float) -> None:
        self._now = max(self._now, moment)


class SimulatedGrid(Grid):
    def __init__(self, clock: SimulatedClock, nodes: Iterable[int], pace: Pace, answer: Answer) -> None:
        be_a_server_app()
        self.clock = clock
        self.nodes = list(nodes)
        """Connected ones; may change."""
        self.instructions = 0
        """Written so far."""
        self._pace = pace
        self._answer = answer
        self._ids = itertools.count()
        self._out: dict[str, tuple[float, Message]] = {}
        """When the answer is there, and the instruction."""

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> list[int]:
        return list(self.nodes)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        ids: list[str] = []
        for message in messages:
            node, kind = message.metadata.dst_node_id, message.metadata.message_type
            older = [i for i, (_, of) in self._out.items() if _is_for(of, node, kind)]
            for message_id in older:
                del self._out[message_id]
            ids.append(f"m{next(self._ids)}")
            message.metadata.__dict__["_message_id"] = ids[-1]
            taken = self._pace(node)
            if taken is not None:
                self._out[ids[-1]] = (self.clock.now() + taken, message)
        self.instructions += len(ids)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        ready = [i for i in message_ids if i in self._out and self._out[i][0] <= self.clock.now()]
        return [self._answer(self._out.pop(message_id)[1]) for message_id in ready]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Replies in the order of the nodes; the clock stands where the last one came, or at the timeout."""
        began, ids = self.clock.now(), self.push_messages(messages)
        limit = float("inf") if timeout is None else began + timeout
        ends = [self._out[message_id][0] if message_id in self._out else limit for message_id in ids]
        self.clock.wait_for(min(max(ends, default=began), limit))
        return sorted(self.pull_messages(ids), key=lambda reply: reply.metadata.src_node_id)


def be_a_server_app() -> None:
    """Flower's messages name the run of the process that they are made in."""
    for name in ("_run_id", "_node_id", "_task_id"):
        setattr(TaskIdentity, name, 1)


def _is_for(message: Message, node: int, kind: str) -> bool:
    return message.metadata.dst_node_id == node and message.metadata.message_type == kind
