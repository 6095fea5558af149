"""The Grid that a ServerApp gets: Flower's own, with prompt replies and the plan's rules; it reports each step.

Strategies and apps talk to devices through a `Grid` alone, so any of them works unchanged with this one. Flower's
`send_and_receive` looks for replies every 3 s; each look costs the SuperLink 4 to 7 ms of its one process. We wait a
tenth of the time already waited, so that looking delays a reply by at most a tenth and a long round costs few looks.

What is reported of each reply is what the device is told: that the run has it, that it was refused and why, or that
nobody waits for it any more. While `rounds` runs a strategy, a reply counts once a checkpoint holds what came of it
(`taken`); to an app that loops by itself it is given when the journal has it. When the hub has ended that, it is given
none. Replies are given in the order of their nodes, so that sums do not depend on who was first.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from flwr.app import ArrayRecord, Message
from flwr.serverapp import Grid

from flip_hub.federation.aggregator.clock import Clock, MachineClock
from flip_hub.federation.aggregator.demands import Demands
from flip_hub.federation.aggregator.fetching import fetching_of
from flip_hub.federation.aggregator.instructions import Instructions, Sent, phase_of
from flip_hub.federation.aggregator.intake import Intake, as_error
from flip_hub.federation.aggregator.kept_late import KeptLate
from flip_hub.federation.aggregator.latecomers import Latecomers
from flip_hub.federation.aggregator.reply_reports import answered_by, node_of, received, refused
from flip_hub.federation.aggregator.roster import Roster
from flip_hub.federation.aggregator.spool import Spool
from flip_hub.federation.aggregator.wait import Wait
from flip_hub.federation.journal import Journal
from flip_hub.federation.plan import Folding, RoundRules
from flip_hub.federation.schemas import (
    MessagesPushed,
    RepliesMissed,
    RepliesTaken,
    ReplyReceived,
    ReplyRefused,
    RunReport,
)
from flip_runtime.errors import Rejected

_IN_FLIGHT = 10_000
"""Messages that are watched; of replies to older ones no more is told than that the app has them."""
_UNKNOWN = Sent(round=0, phase="", node="")


class RoundGrid(Grid):
    def __init__(
        self,
        grid: Grid,
        journal: Journal,
        report: Callable[[RunReport], None],
        roster: Roster,
        instructions: Instructions,
        rules: RoundRules = RoundRules(),  # noqa: B008  frozen
        *,
        folding: Folding | None = None,
        in_rounds: str = "",
        spool: Spool | None = None,
        kept_late: KeptLate | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`in_rounds`: the plan's field for which the app may ask devices in a strategy's rounds alone; empty: it may
        ask by itself. `spool`: where replies wait for their strategy; None: in memory. `kept_late`: what the hub
        keeps for a run that goes on; None: nothing. `clock`: the machine's, if none is given."""
        self.clock = clock or MachineClock()
        self._grid = grid
        self._pull = fetching_of(grid, spool)
        self._spool = spool
        self._kept_late = kept_late
        self._journal = journal
        self._report = report
        self._roster = roster
        self._instructions = instructions
        self._rules = rules
        self._latecomers = Latecomers(folding)
        self._in_rounds = in_rounds
        self._in_flight: OrderedDict[str, Sent] = OrderedDict()
        self._intake = Intake()
        self._untaken: dict[str, Sent] | None = None
        self.void = ""
        """Why the last `send_and_receive` gave no replies though some had come; empty otherwise."""

    @property
    def run(self) -> Any:
        return self._grid.run

    def set_run(self, run: Any) -> None:
        self._grid.set_run(run)

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        return self._grid.create_message(*args, **kwargs)

    def get_node_ids(self) -> Iterable[int]:
        """Those that take part. Raises `Rejected` when too few of them were there for as long as the plan waits."""
        return self._roster.taking_part(self._grid.get_node_ids())

    def get_nodes(self) -> Iterable[Any]:
        able = set(self.get_node_ids())
        return [node for node in self._grid.get_nodes() if node.node_id in able]

    # ---- for `rounds` ----

    def hold(self, demands: Demands = Demands()) -> None:  # noqa: B008  frozen
        """From now on replies count when `taken` is called. `demands`: of the strategy that is given them."""
        self._untaken = {}
        self._intake.demands = demands

    def untaken(self, phase: str = "", number: int = 0) -> list[str]:
        """Ids of the messages whose replies were given and count in nothing yet; of that phase and round, if named."""
        held = (self._untaken or {}).items()
        return [key for key, sent in held if not phase or (sent.phase, sent.round) == (phase, number)]

    def taken(self, message_ids: Collection[str], number: int, weights: Mapping[str, float]) -> None:
        """The checkpoint of that round holds what came of them: devices may forget them. `weights`: their shares in the
        aggregate, where they are known, by message."""
        self._drop(message_ids)
        if message_ids:
            self._report(RepliesTaken(messages=sorted(message_ids), weights=dict(weights), round=number))

    def let_go(self) -> None:
        """Nobody makes checkpoints any more: what was given since the last is in none, and late when the run ends."""
        self._untaken = None

    def refuse(self, reply: Message, reason: str) -> None:
        """One that was given, and that its strategy cannot use: for its device it is as any other refused one."""
        self._drop({reply.metadata.reply_to_message_id})
        self._report(refused(reply, self._instructions.last, reason))

    def refuse_message(self, message_id: str, node: int, reason: str) -> None:
        """As `refuse`, of a reply that nobody holds any more."""
        sent = (self._untaken or {}).get(message_id) or self._instructions.last
        self._drop({message_id})
        number, phase = (0, "") if sent is None else (sent.round, sent.phase)
        self._report(ReplyRefused(round=number, phase=phase, node=str(node), message=message_id, reason=reason))

    def missed(self, message_ids: set[str], reason: str) -> None:
        """Nobody waits for the replies to these any more."""
        for message_id in message_ids:
            self._in_flight.pop(message_id, None)
        self._drop(message_ids)
        if message_ids:
            self._report(RepliesMissed(messages=sorted(message_ids), reason=reason))

    # ---- Flower's Grid ----

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Raises `Rejected` for an app that asks devices by itself in a run that its rounds keep private."""
        if self._in_rounds and self._untaken is None:
            raise Rejected(
                f"{self._in_rounds}: the app asks devices by itself, outside of its strategy's rounds, which nothing "
                "hides",
                hint=f"leave that to the strategy's `start`, or start the run without {self._in_rounds}",
            )
        messages = list(messages)
        known = [(message, self._roster.of(message.metadata.dst_node_id)) for message in messages]
        sent = [self._instructions.describe(*each) for each in known]
        for message, facts in known:
            self._instructions.with_terms(message, facts)
        self._roster.asked()
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
        self._roster.asked()  # somebody is at work: nobody waits in vain
        found = ((reply, self._in_flight.pop(answered_by(reply), None)) for reply in self._pull(message_ids))
        return sorted(self._taken_in(found), key=node_of)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """As Flower's: the replies that came within `timeout` seconds, or all of them when it is None; the plan may
        set another time, ask more devices, and make a round void that too few have answered (`void`)."""
        messages, self.void = list(messages), ""
        wait = Wait(self._rules, phase_of(messages), len(messages), timeout, self.clock)
        messages += self._more(messages, wait.extra)
        waiting = {message_id for message_id in self.push_messages(messages) if message_id}
        del messages  # they hold the model once per device
        replies: list[Message] = []
        late: list[Message] = []
        while waiting:
            for reply in self.pull_messages(waiting | self._due(wait)):
                if answered_by(reply) in waiting:
                    replies.append(reply)
                else:
                    self._latecomers.came(reply)
                    late.append(reply)
            waiting -= {answered_by(reply) for reply in replies}
            if wait.is_over(lambda: self._intake.usable(replies), waiting):
                break
            self.clock.sleep(wait.next_look(), wait.left())
        self._let_wait(waiting, wait)
        counted = self._counted(sorted(replies, key=node_of), wait)
        if wait.training and not self.void:
            late += self._of_before()
        return [*counted, *self._folded(sorted(late, key=node_of))]

    # ---- parts ----

    def _taken_in(self, found: Iterable[tuple[Message, Sent | None]]) -> list[Message]:
        """Replies as their strategy gets them; what became of each is told."""
        replies: list[Message] = []
        reports: list[RunReport] = []
        given: dict[str, Sent] = {}
        for reply, sent in found:
            signed = self._instructions.signed(reply, sent)
            told = list(received(reply, sent, signed))
            reason = self._instructions.opened(reply, sent, signed)
            if any(isinstance(report, ReplyReceived) and report.message for report in told) and not reason:
                given[answered_by(reply)] = sent or _UNKNOWN
            reports += [*told, refused(reply, sent, reason)] if reason else told
            replies.append(self._kept(as_error(reply, reason)))
        self._give(given)
        for report in reports:
            self._report(report)
        return replies

    def _of_before(self) -> list[Message]:
        """Replies to a ServerApp before this one that the hub keeps, and that may still be folded in."""
        if self._kept_late is None:
            return []
        found = self._kept_late.replies(self._latecomers.rounds, self._instructions, self._roster)
        return self._taken_in((self._latecomers.kept(reply, sent), sent) for reply, sent in found)

    def _kept(self, reply: Message) -> Message:
        return reply if self._spool is None else self._spool.put(reply)

    def _more(self, messages: list[Message], count: int) -> list[Message]:
        """For other devices, of what all of `messages` say; none where they say different things."""
        if not count or len({id(message.content) for message in messages}) != 1:
            return []
        content, kind = messages[0].content, messages[0].metadata.message_type
        asked = {message.metadata.dst_node_id for message in messages}
        nodes = self._roster.others(asked, self._grid.get_node_ids(), count)
        return [Message(content, dst_node_id=node, message_type=kind) for node in nodes]

    def _due(self, wait: Wait) -> set[str]:
        """Messages of earlier rounds that may be answered now."""
        if not wait.training:
            return set()
        self.missed(self._latecomers.expired(self._instructions.round), "it is too late to be folded in")
        return self._latecomers.due(self._grid.get_node_ids()) if self._latecomers.any else set()

    def _let_wait(self, waiting: set[str], wait: Wait) -> None:
        """Nobody waits for these any more, but to fold them in later."""
        sent = {key: self._in_flight[key] for key in waiting if wait.training and key in self._in_flight}
        self.missed(waiting - self._latecomers.keep(sent), wait.ended_because)

    def _folded(self, late: Iterable[Message]) -> list[Message]:
        found: list[Message] = []
        for reply in late:
            if reply.has_error() or self.void:
                self._latecomers.forget(reply)
                self.missed({answered_by(reply)}, self.void or "it failed")
                continue
            try:
                model = self._instructions.base or ArrayRecord()
                folded = self._latecomers.fold(reply, model, self._instructions.round, self._intake.demands.weighed_by)
                found.append(self._kept(folded))
            except Rejected as error:
                self.refuse(reply, str(error.args[0]))
        return [reply for reply in self._sound(found) if not reply.has_error()]

    def _counted(self, replies: list[Message], wait: Wait) -> list[Message]:
        """Without those that are refused, which become errors; none when too few are left."""
        replies = self._sound(replies)
        self.void = wait.void(sum(not reply.has_error() for reply in replies))
        if not self.void:
            return replies
        self.missed({answered_by(reply) for reply in replies if not reply.has_error()}, self.void)
        return []

    def _sound(self, replies: list[Message]) -> list[Message]:
        """Those that are refused become errors."""
        reasons = self._intake.refusals(replies, self._instructions.base)
        for reply in replies:
            if reason := reasons.get(answered_by(reply)):
                self.refuse(reply, reason)
        return [as_error(reply, reasons.get(answered_by(reply), "")) for reply in replies]

    def _give(self, given: Mapping[str, Sent]) -> None:
        if self._untaken is not None:
            self._untaken |= given
        elif given:
            self._journal.add(*given)
            self._report(RepliesTaken(messages=list(given), round=self._instructions.round))

    def _drop(self, message_ids: Collection[str]) -> None:
        if self._untaken is not None:
            self._untaken = {key: sent for key, sent in self._untaken.items() if key not in message_ids}
