"""What became of each round and of each instruction in it, in the lab's time, as the ServerApp tells it."""

from collections.abc import Callable

from msgspec import Struct

from flip_hub.federation.schemas import (
    MessagesPushed,
    Phase,
    RepliesMissed,
    RepliesTaken,
    ReplyReceived,
    ReplyRefused,
    RoundFinished,
    RunReport,
    StrategyStarted,
)


class Told(Struct, frozen=True, kw_only=True):
    """Of one device in one round."""

    device: str
    round: int
    reason: str


class RoundStory(Struct, kw_only=True):
    round: int
    began: float
    """Seconds of the lab."""
    ended: float | None = None
    asked: int = 0
    """Devices, to train."""
    counted: int = 0
    """Results of this round that are in it."""
    folded: int = 0
    """Results of earlier rounds that are in it."""
    missed: int = 0
    """Asked in this round, and not waited for any longer."""
    refused: int = 0
    failed: int = 0
    metrics: dict[str, float] = {}
    void: str = ""


class Story:
    def __init__(self, name_of: Callable[[str], str]) -> None:
        """`name_of` a node's device."""
        self.strategy = ""
        self.rounds: dict[int, RoundStory] = {}
        self.refused: list[Told] = []
        self.failed: list[Told] = []
        self.counted: dict[str, list[str]] = {}
        """How often a device's trainings counted: instructions by device; one that is there twice counted twice."""
        self._name_of = name_of
        self._asked: dict[str, tuple[int, str]] = {}
        """Round and device of each instruction to train."""

    def hear(self, report: RunReport, now: float) -> None:
        match report:
            case StrategyStarted():
                self.strategy = report.strategy
            case MessagesPushed(phase=Phase.TRAIN):
                self._pushed(report, now)
            case ReplyReceived(phase=Phase.TRAIN) if report.error:
                self._failed(report)
            case ReplyRefused():
                self._refused(report)
            case RepliesTaken():
                self._taken(report)
            case RepliesMissed():
                for message in report.messages:
                    if message in self._asked:
                        self.rounds[self._asked[message][0]].missed += 1
            case RoundFinished():
                self._finished(report, now)
            case _:
                pass

    def has_ended(self, number: int) -> bool:
        return number in self.rounds and self.rounds[number].ended is not None

    def _pushed(self, report: MessagesPushed, now: float) -> None:
        found = self._round(report.round, now)
        for node, message in zip(report.nodes, report.messages, strict=False):
            found.asked += message not in self._asked
            self._asked[message] = report.round, self._name_of(node)

    def _failed(self, report: ReplyReceived) -> None:
        device = self._name_of(report.node)
        self.failed.append(Told(device=device, round=report.round, reason=report.error))
        if report.round in self.rounds:
            self.rounds[report.round].failed += 1

    def _refused(self, report: ReplyRefused) -> None:
        self.refused.append(Told(device=self._name_of(report.node), round=report.round, reason=report.reason))
        if report.round in self.rounds:
            self.rounds[report.round].refused += 1

    def _taken(self, report: RepliesTaken) -> None:
        newest = max(self.rounds, default=0)
        for message in report.messages:
            if message in self._asked:
                number, device = self._asked[message]
                self.counted.setdefault(device, []).append(message)
                if number == newest:
                    self.rounds[number].counted += 1
                else:
                    self.rounds[newest].folded += 1

    def _finished(self, report: RoundFinished, now: float) -> None:
        found = self._round(report.round, now)
        found.ended = now if found.ended is None else found.ended
        found.metrics = {**found.metrics, **report.train_metrics, **report.evaluate_metrics}
        found.void = report.void

    def _round(self, number: int, now: float) -> RoundStory:
        return self.rounds.setdefault(number, RoundStory(round=number, began=now))
