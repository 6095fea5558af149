"""Devices on a clock of their own: a Flower Grid that real strategies run on, in this process, faster than real time.

A device's work takes as long as its pace says; that it computes what it answers costs no simulated time. It finishes
what it has begun, as real ones do, and takes up the newest instruction then: those that have been superseded meanwhile
it never sees, which is kinder to a strategy with deadlines than Flower is. Training and evaluation are apart.
"""

from collections.abc import Callable, Iterable, Iterator
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

    def sleep(self, seconds: float, left: float | None = None) -> None:
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
        self._desks: dict[tuple[int, str], _Desk] = {}
        self._finished: dict[str, Message] = {}

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
        self._work()
        for message in messages:
            node, kind = message.metadata.dst_node_id, message.metadata.message_type
            ids.append(f"m{self.instructions}")
            message.metadata.__dict__["_message_id"] = ids[-1]
            self._desks.setdefault((node, kind), _Desk(node)).put(self.clock.now(), message)
            self.instructions += 1
        self._work()
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        self._work()
        return [self._answer(self._finished.pop(i)) for i in message_ids if i in self._finished]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Replies in the order of the nodes; the clock stands where the last one came, or at the timeout."""
        limit = float("inf") if timeout is None else self.clock.now() + timeout
        waiting, replies = set(self.push_messages(messages)), list[Message]()
        while True:
            replies += self.pull_messages(sorted(waiting))
            waiting -= {reply.metadata.reply_to_message_id for reply in replies}
            now = self.clock.now()
            if not waiting or now >= limit:
                return sorted(replies, key=lambda reply: reply.metadata.src_node_id)
            busy = [desk.until for desk in self._desks.values() if desk.until > now]
            self.clock.wait_for(min([*busy, limit]))

    def _work(self) -> None:
        """What devices have done until now."""
        for desk in self._desks.values():
            for message in desk.finished(self.clock.now(), self._pace):
                self._finished[message.metadata.message_id] = message


class _Desk:
    """Of one device and kind of instruction."""

    def __init__(self, node: int) -> None:
        self._node = node
        self._at: Message | None = None
        self._next: tuple[float, Message] | None = None
        self.until = 0.0
        """When what it works at is finished."""

    def put(self, now: float, message: Message) -> None:
        self._next = now, message

    def finished(self, now: float, pace: Pace) -> Iterator[Message]:
        """Since the last call."""
        while self.until <= now:
            if self._at is not None:
                yield self._at
                self._at = None
            if self._next is None:
                return
            (since, message), self._next = self._next, None
            taken = pace(self._node)
            if taken is not None:
                self._at, self.until = message, max(since, self.until) + taken


def be_a_server_app() -> None:
    """Flower's messages name the run of the process that they are made in."""
    for name in ("_run_id", "_node_id", "_task_id"):
        setattr(TaskIdentity, name, 1)
