"""What is known of the instructions that go out: their round and phase, the arrays in them, the terms they carry."""

from collections.abc import Sequence

import msgspec
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from msgspec import Struct

from flip_hub.federation.aggregator.unpacking import Unpacking
from flip_hub.federation.brief import NodeFacts
from flip_runtime.errors import Rejected
from flip_wire.terms import ACCOUNT, RECORD, TERMS, Clipping, Noise, Terms, UpdateForm, decode_account, encode


class Sent(Struct, frozen=True, kw_only=True):
    round: int
    phase: str
    node: str
    unpacking: Unpacking | None = None
    """Of the replies to what was sent; None when that had no content."""


class Instructions:
    def __init__(
        self,
        run_id: str,
        form: UpdateForm | None = None,
        local: Sequence[str] = (),
        privacy: Clipping | Noise | None = None,
    ) -> None:
        """`form`: in which the run's updates travel, from the devices that can; `local`: what stays on them;
        `privacy`: what hides updates before they leave."""
        self._run_id = run_id
        self._form = form
        self._local = local
        self._privacy = privacy
        self.round = 0
        """That is under way, where an instruction does not say."""
        self.last: Sent | None = None
        self.base: ArrayRecord | None = None
        """Of the instructions written last."""
        self._content: RecordDict | None = None
        self._unpacking: Unpacking | None = None
        self._extended: dict[bool, RecordDict] = {}

    def describe(self, message: Message) -> Sent:
        """Before `with_terms`. Raises `Rejected` when what shall stay local is none of the arrays, or all."""
        phase, node = phase_of([message]), str(message.metadata.dst_node_id)
        if not message.has_content():
            return Sent(round=self.round, phase=phase, node=node)
        self.round = _round_of(message) or self.round
        if message.content is not self._content:
            self._content, self._extended = message.content, {}
            self.base = next(iter(message.content.array_records.values()), None)
            self._unpacking = Unpacking(message.content, self._local)
        self.last = Sent(round=self.round, phase=phase, node=node, unpacking=self._unpacking)
        return self.last

    def with_terms(self, message: Message, facts: NodeFacts | None) -> Message:
        """For an agent; any other node gets what the strategy wrote, and nothing else."""
        if facts is not None and facts.agent and message.has_content():
            packs = self._form is not None and self._form.codec in facts.forms
            message.content = self._with_terms(message.content, packs)
        return message

    def opened(self, reply: Message, sent: Sent | None) -> str:
        """Takes out what the reply says of itself, and makes its arrays whole; why it is refused, if it is."""
        if not reply.has_content():
            return ""
        record = reply.content.pop(RECORD, None)
        if sent is None or sent.unpacking is None:
            return ""
        try:
            self._check(record, sent)
            sent.unpacking.unpack(reply)
        except Rejected as error:
            return str(error.args[0])
        return ""

    def _check(self, record: object, sent: Sent) -> None:
        """Raises `Rejected` for a reply of another run or round."""
        if record is None:
            return
        account = record.get(ACCOUNT) if isinstance(record, ConfigRecord) else None
        try:
            told = decode_account(account if isinstance(account, bytes) else b"")
        except msgspec.DecodeError as error:
            raise Rejected("what the reply says of itself cannot be read") from error
        if (told.run_id, told.round) != (self._run_id, sent.round):
            raise Rejected(f"it is a reply of round {told.round} of {told.run_id[:40]}, not of round {sent.round}")

    def _with_terms(self, content: RecordDict, packs: bool) -> RecordDict:
        """The same object for the same content: what all devices of a round are sent is made, and hashed, once."""
        if packs not in self._extended:
            form = self._form if packs else None
            terms = Terms(
                run_id=self._run_id, round=self.round, form=form, local=list(self._local), privacy=self._privacy
            )
            self._extended[packs] = RecordDict({**content, RECORD: ConfigRecord({TERMS: encode(terms)})})
        return self._extended[packs]


def phase_of(messages: Sequence[Message]) -> str:
    """Flower's message type before the first dot; empty when there is none."""
    return messages[0].metadata.message_type.split(".")[0] if messages else ""


def _round_of(message: Message) -> int:
    """As the stock strategies write it into their configuration; 0 when the message does not say."""
    for record in message.content.values() if message.has_content() else ():
        number = record.get("server-round") if isinstance(record, ConfigRecord) else None
        if isinstance(number, int):
            return number
    return 0
