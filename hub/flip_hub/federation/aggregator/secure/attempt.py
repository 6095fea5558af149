"""One attempt at a round: up to four exchanges with the same devices, each with the plan's deadline.

Who does not answer in time, or answers what it should not, is out of the round, which goes on without it as long as
enough are left. Only the exchange in which devices train is a message of the round's; the others are queries, which
the app does not see. Of the round's devices and of those that are out of it the hub is told once.
"""

from collections.abc import Callable, Mapping
from typing import Final

from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, RecordDict
from msgspec import Struct

from flip_hub.federation.aggregator.grid import RoundGrid
from flip_hub.federation.aggregator.secure.vectors import Vectors
from flip_hub.federation.aggregator.wait import Wait
from flip_hub.federation.plan import RoundRules
from flip_hub.federation.schemas import MessagesPushed, Phase, ReplyReceived, RunReport
from flip_runtime.errors import Rejected
from flip_update.secagg.fixed_point import Total
from flip_update.secagg.hub_round import Asked, HubRound
from flip_update.secagg.members import Stage
from flip_wire.terms import ANSWER, QUESTION, SECURE, WEIGHTED_BY

_CONFIG: Final = "config"


class Limits(Struct, frozen=True, kw_only=True):
    rules: RoundRules
    timeout: float | None
    """Seconds of an exchange where the plan has no deadline."""


class Attempt:
    def __init__(
        self,
        number: int,
        hub: HubRound,
        instructions: Mapping[str, Message],
        weighted_by: str,
        grid: RoundGrid,
        report: Callable[[RunReport], None],
    ) -> None:
        """`number`: of the run's round; `instructions`: to train, by node."""
        self._number = number
        self._hub = hub
        self._instructions = instructions
        self._weighted_by = weighted_by
        self._grid = grid
        self._report = report

    def total(self, limits: Limits, vectors: Vectors, *, renews: bool) -> Total:
        """`renews`: whether devices shall deal for the next round as well.

        Raises `Rejected` when too few devices are left, or what they sent makes no sum."""
        self._report(MessagesPushed(round=self._number, phase=Phase.TRAIN, nodes=sorted(self._instructions)))
        try:
            while (stage := self._hub.stage) is not Stage.DONE:
                wait = self._wait(stage, limits)
                self._exchange(stage, wait, vectors)
                self._hub.close(renews=renews)
                if stage is Stage.MASK and (void := wait.void(len(self._hub.counted()))):
                    raise Rejected(void)
            return self._hub.total(vectors.of(self._hub.counted()))
        finally:
            self._tell_refused()

    def _wait(self, stage: Stage, limits: Limits) -> Wait:
        phase = Phase.TRAIN if stage is Stage.MASK else MessageType.QUERY
        return Wait(
            limits.rules, phase, len(self._instructions), limits.rules.deadline or limits.timeout, self._grid.clock
        )

    def _exchange(self, stage: Stage, wait: Wait, vectors: Vectors) -> None:
        if not (asked := self._hub.questions()):
            return  # all have dealt in the round before
        ids = self._grid.push_messages([self._message(stage, each) for each in asked])
        waiting = {key: each.device for key, each in zip(ids, asked, strict=False) if key}
        while waiting:
            for reply in self._grid.pull_messages(waiting):
                self._take(stage, waiting.pop(reply.metadata.reply_to_message_id), reply, vectors)
            if wait.is_over(lambda: 0, waiting):
                break
            self._grid.clock.sleep(wait.next_look(), wait.left())
        self._grid.missed(set(waiting), wait.ended_because)

    def _message(self, stage: Stage, asked: Asked) -> Message:
        told = ConfigRecord({QUESTION: asked.question, WEIGHTED_BY: self._weighted_by})
        node = int(asked.device)
        if stage is not Stage.MASK:
            content = RecordDict({_CONFIG: ConfigRecord({"server-round": self._number}), SECURE: told})
            return Message(content, dst_node_id=node, message_type=MessageType.QUERY)
        instruction = self._instructions[asked.device]
        content = RecordDict({**instruction.content, SECURE: told})  # the arrays are the same object for all
        return Message(content, dst_node_id=node, message_type=instruction.metadata.message_type)

    def _take(self, stage: Stage, device: str, reply: Message, vectors: Vectors) -> None:
        if reply.has_error():
            self._hub.refuse(device, reply.error.reason or f"error {reply.error.code}")
            return
        answer = _answer_of(reply)
        try:
            self._hub.take(device, answer)
        except Rejected as error:
            self._grid.refuse(reply, error.args[0])
        else:
            if stage is Stage.MASK:
                vectors.keep(device, answer)

    def _tell_refused(self) -> None:
        for device, reason in self._hub.refused().items():
            self._report(ReplyReceived(round=self._number, phase=Phase.TRAIN, node=device, error=reason))


def _answer_of(reply: Message) -> bytes:
    """Empty, which is no answer to any question, when there is none in it."""
    record = reply.content.get(SECURE)
    answer = record.get(ANSWER) if isinstance(record, ConfigRecord | ArrayRecord) else None
    content = answer.data if isinstance(answer, Array) else answer
    return content if isinstance(content, bytes) else b""
