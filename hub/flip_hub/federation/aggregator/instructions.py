"""What is known of the instructions that go out: their round and phase, the arrays in them, the terms they carry."""

from collections.abc import Sequence

import msgspec
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from msgspec import Struct
from msgspec.structs import replace

from flip_hub.federation.aggregator.spool import Spool
from flip_hub.federation.aggregator.statements import Asked, Signer, Statements, base_of
from flip_hub.federation.aggregator.unpacking import Unpacking
from flip_hub.federation.brief import NodeFacts
from flip_hub.federation.schemas import Phase
from flip_runtime.errors import Rejected
from flip_wire.models import Sha256
from flip_wire.statements import Signed
from flip_wire.terms import ACCOUNT, RECORD, TERMS, Account, Clipping, Noise, Terms, UpdateForm, decode_account, encode


class Sent(Struct, frozen=True, kw_only=True):
    round: int
    phase: str
    node: str
    unpacking: Unpacking | None = None
    """Of the replies to what was sent; None when that had no content."""
    signer: Signer | None = None
    """Who must have signed the reply; None: nobody."""
    base: Sha256 = Sha256("")
    """Of what was sent (`flip_wire.statements`); empty where nobody signs."""


class Instructions:
    def __init__(
        self,
        run_id: str,
        form: UpdateForm | None = None,
        local: Sequence[str] = (),
        privacy: Clipping | Noise | None = None,
        *,
        secure: bool = False,
        spool: Spool | None = None,
    ) -> None:
        """`form`: in which the run's updates travel, from the devices that can; `local`: what stays on them;
        `privacy`: what hides updates before they leave; `secure`: whether they leave masked alone, which are then not
        read here; `spool`: where the arrays lie that replies are completed from, None: in memory."""
        self._run_id = run_id
        self._form = form
        self._local = local
        self._privacy = privacy
        self._secure = secure
        self._spool = spool
        self.round = 0
        """That is under way, where an instruction does not say."""
        self.last: Sent | None = None
        self.base: ArrayRecord | None = None
        """Of the instructions written last."""
        self._content: RecordDict | None = None
        self._unpacking: Unpacking | None = None
        self._hash = Sha256("")
        self._statements = Statements(run_id)
        self._plain: RecordDict | None = None
        self._extended: dict[bool, RecordDict] = {}
        """Of `_plain`, by whether the update is packed."""

    def describe(self, message: Message, facts: NodeFacts | None = None) -> Sent:
        """Before `with_terms`. Raises `Rejected` when what shall stay local is none of the arrays, or all."""
        phase, node = phase_of([message]), str(message.metadata.dst_node_id)
        if not message.has_content():
            return Sent(round=self.round, phase=phase, node=node)
        self.round = _round_of(message) or self.round
        if message.content is not self._content:
            self._hash = self._hash if _same_arrays(message.content, self._content) else Sha256("")
            self._content = message.content
            self._plain = None  # a later round may send the same object again
            self.base = next(iter(message.content.array_records.values()), None)
            self._unpacking = Unpacking(self._asked(message.content), self._local)
        sent = Sent(round=self.round, phase=phase, node=node, unpacking=self._unpacking)
        if facts is not None and facts.agent and facts.key:
            self._hash = self._hash or base_of(message.content)  # once for all devices of a round
            sent = replace(sent, signer=Signer(device_id=facts.device_id, key=facts.key), base=self._hash)
        self.last = sent
        return sent

    def before(self, number: int, node: int, base: ArrayRecord, facts: NodeFacts) -> Sent:
        """What a ServerApp before this one sent to train in that round, with those arrays."""
        name = next(iter(self._content.array_records), "arrays") if self._content else "arrays"
        content = RecordDict({name: base})
        return Sent(
            round=number,
            phase=Phase.TRAIN,
            node=str(node),
            unpacking=Unpacking(self._asked(content), self._local),
            signer=Signer(device_id=facts.device_id, key=facts.key) if facts.agent and facts.key else None,
            base=base_of(content),
        )

    def _asked(self, content: RecordDict) -> RecordDict:
        """What replies to it are completed from: however many versions of the model devices are at work on, it takes no
        memory."""
        if self._secure:
            return RecordDict()
        if self._spool is None:
            return content
        return RecordDict({name: self._spool.copy(record) for name, record in content.array_records.items()})

    def with_terms(self, message: Message, facts: NodeFacts | None) -> Message:
        """For an agent; any other node gets what the strategy wrote, and nothing else."""
        if facts is not None and facts.agent and message.has_content():
            packs = self._form is not None and self._form.codec in facts.forms
            message.content = self._with_terms(message.content, packs)
        return message

    def signed(self, reply: Message, sent: Sent | None) -> Signed | None:
        """Before it is `opened`: what its device has signed of it; None where that is not signed by that device."""
        if sent is None or sent.signer is None or not reply.has_content():
            return None
        account = _account_of(reply.content.get(RECORD))
        return account.signed if account and account.signed and sent.signer.has_signed(account.signed) else None

    def opened(self, reply: Message, sent: Sent | None, signed: Signed | None = None) -> str:
        """Takes out what the reply says of itself, and makes its arrays whole; why it is refused, if it is."""
        if not reply.has_content():
            return ""
        record = reply.content.pop(RECORD, None)
        if sent is None or sent.unpacking is None:
            return ""
        try:
            self._check(record, sent)
            if sent.signer is not None:
                answered = reply.metadata.reply_to_message_id
                asked = Asked(round=sent.round, phase=sent.phase, device_id=sent.signer.device_id, base=sent.base)
                self._statements.check(signed, asked, reply.content, answered)
            sent.unpacking.unpack(reply)
        except Rejected as error:
            return str(error.args[0])
        return ""

    def _check(self, record: object, sent: Sent) -> None:
        """Raises `Rejected` for a reply of another run or round."""
        if record is None:
            return
        told = _account_of(record)
        if told is None:
            raise Rejected("what the reply says of itself cannot be read")
        if (told.run_id, told.round) != (self._run_id, sent.round):
            raise Rejected(f"it is a reply of round {told.round} of {told.run_id[:40]}, not of round {sent.round}")

    def _with_terms(self, content: RecordDict, packs: bool) -> RecordDict:
        """The same object for the same content: what all devices of a round are sent is made, and hashed, once."""
        if content is not self._plain:
            self._plain, self._extended = content, {}
        if packs not in self._extended:
            form = self._form if packs else None
            terms = Terms(
                run_id=self._run_id,
                round=self.round,
                form=form,
                local=list(self._local),
                privacy=self._privacy,
                secure=self._secure,
            )
            self._extended[packs] = RecordDict({**content, RECORD: ConfigRecord({TERMS: encode(terms)})})
        return self._extended[packs]


def _account_of(record: object) -> Account | None:
    account = record.get(ACCOUNT) if isinstance(record, ConfigRecord) else None
    try:
        return decode_account(account) if isinstance(account, bytes) else None
    except msgspec.DecodeError:
        return None


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


def _same_arrays(content: RecordDict, before: RecordDict | None) -> bool:
    """Whether both have the same objects, by the same names."""
    ours, others = content.array_records, RecordDict().array_records if before is None else before.array_records
    return ours.keys() == others.keys() and all(ours[name] is others[name] for name in ours)
