"""The Grid that a ServerApp gets: Flower's own, with prompt replies, and each step reported to the hub.

Strategies and apps talk to devices through a `Grid` alone, so any of them works unchanged with this one. Flower's
`send_and_receive` looks for replies every 3 s; each look costs the SuperLink 4 to 7 ms of its one process. We wait a
tenth of the time already waited, so that looking delays a reply by at most a tenth and a long round costs few looks.

What is reported of each reply is what the device is told: that the app has it, or that nobody waits for it any more.
Before the app is given what one look brought, all of it is in the journal of the run; when the hub has ended that, the
app is given none of it.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.common.constant import SUPERLINK_NODE_ID
from flwr.serverapp import Grid

from flip_hub.federation.journal import Journal
from flip_hub.federation.schemas import MessagesPushed, RepliesMissed, ReplyContent, ReplyReceived, RunReport

_FIRST_LOOK = 0.05
_SLOWEST_LOOK = 1.0
"""Seconds."""
_EXAMPLES = "num-examples"
"""Flower's strategies weigh a reply by it, unless they are told otherwise."""
_IN_FLIGHT = 10_000
"""Messages that are watched; of replies to older ones no more is told than that the app has them."""


class RoundGrid(Grid):
    def __init__(
        self, grid: Grid, journal: Journal, report: Callable[[RunReport], None], current_round: Callable[[], int]
    ) -> None:
        """`current_round` is asked about messages that do not say which round they belong to."""
        self._grid = grid
        self._journal = journal
        self._report = report
        self._current_round = current_round
        self._in_flight: OrderedDict[str, _Sent] = OrderedDict()

    @property
    def run(self) -> Any:
        return self._grid.run

    def set_run(self, run: Any) -> None:
        self._grid.set_run(run)

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        return self._grid.create_message(*args, **kwargs)

    def get_node_ids(self) -> Iterable[int]:
        return self._grid.get_node_ids()

    def get_nodes(self) -> Iterable[Any]:
        return self._grid.get_nodes()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        messages = list(messages)
        sent = [self._describe(message) for message in messages]
        ids: list[str] = list(self._grid.push_messages(messages))
        written: dict[tuple[int, str], dict[str, str]] = {}
        for message_id, what in zip(ids, sent, strict=False):  # none when the request as a whole was too large
            if message_id:
                self._in_flight[message_id] = what
                written.setdefault((what.round, what.phase), {})[message_id] = what.node
        while len(self._in_flight) > _IN_FLIGHT:
            self._in_flight.popitem(last=False)
        for (number, phase), nodes in written.items():
            self._report(MessagesPushed(round=number, phase=phase, nodes=[*nodes.values()], messages=[*nodes]))
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Raises `Rejected` when the hub has ended the run."""
        replies = list(self._grid.pull_messages(message_ids))
        reports = [report for reply in replies for report in self._received(reply)]
        self._journal.add(*(each.message for each in reports if isinstance(each, ReplyReceived) and each.message))
        for report in reports:
            self._report(report)
        return replies

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """As Flower's: the replies that came within `timeout` seconds, or all of them when it is None."""
        waiting = {message_id for message_id in self.push_messages(messages) if message_id}
        del messages  # they hold the model once per device
        started = time.monotonic()
        replies: list[Message] = []
        while waiting:
            fresh = list(self.pull_messages(waiting))
            replies += fresh
            waiting -= {reply.metadata.reply_to_message_id for reply in fresh}
            waited = time.monotonic() - started
            left = float("inf") if timeout is None else timeout - waited
            if not waiting or left <= 0:
                break
            time.sleep(min(max(_FIRST_LOOK, waited / 10), _SLOWEST_LOOK, left))
        self._missed(waiting, f"its round had ended after {timeout:g} s" if timeout is not None else "")
        return replies

    def _received(self, reply: Message) -> Iterator[RunReport]:
        answered = reply.metadata.reply_to_message_id
        sent = self._in_flight.pop(answered, None)
        if sent is None:
            if reply.metadata.src_node_id != SUPERLINK_NODE_ID:
                node = str(reply.metadata.src_node_id)
                yield ReplyReceived(
                    round=0, phase="", node=node, error="", message=answered, content=_content_of(reply)
                )
            return
        error = (reply.error.reason or f"error {reply.error.code}") if reply.has_error() else ""
        from_device = str(reply.metadata.src_node_id) == sent.node  # Flower answers for a node that it calls offline
        message = answered if from_device else ""
        content = _content_of(reply) if from_device else None
        yield ReplyReceived(
            round=sent.round, phase=sent.phase, node=sent.node, error=error, message=message, content=content
        )
        if not from_device:
            yield RepliesMissed(messages=[answered], reason=f"its round went on without it: {error}")

    def _missed(self, message_ids: set[str], reason: str) -> None:
        for message_id in message_ids:
            self._in_flight.pop(message_id, None)
        if message_ids:
            self._report(RepliesMissed(messages=sorted(message_ids), reason=reason))

    def _describe(self, message: Message) -> "_Sent":
        return _Sent(
            round=_round_of(message) or self._current_round(),
            phase=message.metadata.message_type.split(".")[0],
            node=str(message.metadata.dst_node_id),
        )


class _Sent(msgspec.Struct, frozen=True, kw_only=True):
    round: int
    phase: str
    node: str


def _content_of(reply: Message) -> ReplyContent | None:
    """None when there is none, only an error."""
    if not reply.has_content():
        return None
    records = list(reply.content.values())
    arrays = [array for record in records if isinstance(record, ArrayRecord) for array in record.values()]
    numbers = [record.get(_EXAMPLES) for record in records if isinstance(record, MetricRecord)]
    weights = [float(number) for number in numbers if isinstance(number, int | float) and math.isfinite(number)]
    return ReplyContent(
        sha256=reply.metadata.message_id,
        size=sum(len(array.data) for array in arrays),
        weight=weights[0] if weights else None,
    )


def _round_of(message: Message) -> int:
    """As the stock strategies write it into their configuration; 0 when the message does not say."""
    for record in message.content.values() if message.has_content() else ():
        number = record.get("server-round") if isinstance(record, ConfigRecord) else None
        if isinstance(number, int):
            return number
    return 0
