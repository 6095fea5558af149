"""Who works on what, in a run without rounds: pure decisions over times and versions that it is told."""

from collections.abc import Collection, Mapping

from msgspec import Struct

_FIRST_PAUSE = 1.0
_MOST_FAILURES = 10
_LONGEST_PAUSE = 300.0
"""Seconds until a device is asked again that has failed."""


class Limits(Struct, frozen=True, kw_only=True):
    concurrency: int
    """Devices at work at one time; 0: all."""
    patience: float
    """Seconds after which a device that has not answered may be asked anew, and another one in its place."""
    max_staleness: int


class Task(Struct, frozen=True, kw_only=True):
    message_id: str
    node: int
    version: int
    """Of the model that the device was given."""
    sent_at: float


class Tasks:
    """A device is asked once for a version of the model, unless it was lost; what it answers counts once, and never
    after a newer answer of the same device. An answer that comes after one's patience counts as any other."""

    def __init__(self, limits: Limits, asked: dict[int, int], answered: dict[int, int]) -> None:
        """`asked` and `answered`, versions by node, are kept up to date: with them a crashed run goes on. What was
        asked for then is asked for again."""
        self._limits = limits
        self._asked = asked
        self._answered = answered
        self._again = dict(asked)
        self._out: dict[str, Task] = {}
        self._waiting: dict[int, int] = {}
        """Versions of updates that lie in the buffer."""
        self._failures: dict[int, int] = {}
        self._failed: dict[int, int] = {}
        """Version that a device failed on last."""
        self._not_before: dict[int, float] = {}

    @property
    def out(self) -> Mapping[str, Task]:
        """By the message's id."""
        return self._out

    def sent(self, task: Task) -> None:
        self._out[task.message_id] = task
        self._asked[task.node] = task.version
        self._again.pop(task.node, None)

    def to_ask(self, online: Collection[int], version: int, now: float) -> tuple[list[int], int]:
        """Devices that may be asked, and how many of them."""
        busy = self.busy(now)
        free = [node for node in sorted(online) if node not in busy and self._may_be_asked(node, version, now)]
        room = self._limits.concurrency - len(busy) if self._limits.concurrency else len(free)
        return free, max(0, min(room, len(free)))

    def version_for(self, node: int, version: int) -> int:
        """What to give it: what it had before a crash, while that still counts."""
        before = self._again.get(node, version)
        return before if version - before <= self._limits.max_staleness else version

    def busy(self, now: float) -> set[int]:
        return {task.node for task in self._out.values() if now - task.sent_at < self._limits.patience}

    def anyone_left(self, online: Collection[int], version: int, now: float) -> bool:
        """Whether an update may still come without a new version of the model."""
        return bool(self.busy(now)) or any(
            self._newest(node) < version and self._failed.get(node, -1) < version for node in online
        )

    def came(self, message_id: str) -> Task | None:
        """None for one that nobody waits for."""
        return self._out.pop(message_id, None)

    def superseded(self, task: Task) -> bool:
        return self._newest(task.node) >= task.version

    def accepted(self, task: Task) -> None:
        """Its update is in the buffer."""
        self._waiting[task.node] = task.version
        self._failures.pop(task.node, None)

    def failed(self, node: int, version: int, now: float) -> None:
        """Its answer to that version was an error, or refused."""
        failures = min(self._failures.get(node, 0) + 1, _MOST_FAILURES)
        self._failures[node] = failures
        self._failed[node] = version
        self._not_before[node] = now + min(_FIRST_PAUSE * 2 ** (failures - 1), _LONGEST_PAUSE)
        self.dropped(node, version)

    def taken(self, node: int, version: int) -> None:
        """A step holds its update."""
        self._answered[node] = max(version, self._answered.get(node, -1))
        self.dropped(node, version)

    def dropped(self, node: int, version: int) -> None:
        """Its update lies in the buffer no more."""
        for versions in (self._waiting, self._asked):
            if versions.get(node) == version:
                del versions[node]

    def give_up(self, oldest: int) -> list[Task]:
        """Those that began with a version before that."""
        given_up = [task for task in self._out.values() if task.version < oldest]
        for task in given_up:
            del self._out[task.message_id]
        for versions in (self._asked, self._again):
            for node in [node for node, version in versions.items() if version < oldest]:
                del versions[node]
        return given_up

    def versions(self) -> set[int]:
        """That devices are at work on, or were before a crash."""
        return {task.version for task in self._out.values()} | {*self._waiting.values(), *self._again.values()}

    def _may_be_asked(self, node: int, version: int, now: float) -> bool:
        return self._newest(node) < version and now >= self._not_before.get(node, now)

    def _newest(self, node: int) -> int:
        return max(self._answered.get(node, -1), self._waiting.get(node, -1))
