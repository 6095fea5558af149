"""A device's end of secure aggregation: bytes in, bytes out. The caller keeps the state and answers what it is told to.

The state must be on disk BEFORE the answer leaves, and a masked vector together with it. Then, wherever the device is
cut off: the same question gives the same answer, but for the vector, which is made once; no other question of a stage
that is answered is; and no secret serves twice. What raises leaves the state as it was.
"""

import hashlib
from typing import Final, NamedTuple

import msgspec
from msgspec import structs

from flip_runtime.errors import ConfigError, Corrupt, Rejected
from flip_update.secagg.device_round import DeviceRound, Given, Update
from flip_update.secagg.messages import (
    Answer,
    Delivery,
    Neighbourhood,
    Question,
    Renewal,
    Revealed,
    Setup,
    Shared,
    Unmasking,
    encode,
    question_of,
)
from flip_update.secagg.own_least import refuse_few
from flip_update.secagg.parameters import FEWEST

NEW: Final = b""
"""The state before a run's first round."""
_STAGES: Final = {Setup: 0, Neighbourhood: 1, Renewal: 1, Delivery: 2, Unmasking: 3}
_NOT_ASKED: Final = Given(b"", b"")
"""In the place of the `Setup` of a round that goes on with the circle of the one before."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(DeviceRound)


class Answered(NamedTuple):
    state: bytes
    answer: bytes


def needs_update(state: bytes, question: bytes, own_least: int = FEWEST) -> bool:
    """Raises as `answered`, for what can be told before there is an update: nobody trains for a question in vain."""
    asked = question_of(question)
    known = _state_of(state)
    _given(known, asked, question)
    if not isinstance(asked, Delivery):
        return False
    assert known  # or `_given` had raised
    known.refuse_delivery(asked)
    refuse_few(asked, known, own_least)
    return True


def answered(state: bytes, question: bytes, update: Update | None = None, own_least: int = FEWEST) -> Answered:
    """`update`: where the question `needs_update`; `own_least`: with fewer devices, itself among them, it does not
    take part.

    Raises `Rejected` for whatever an honest hub would not ask now, for a round that is too small for this device, and
    for an update that the parameters have no room for; `Corrupt` for a state that is none.
    """
    asked = question_of(question)
    known = _state_of(state)
    before = _given(known, asked, question)
    if isinstance(asked, Delivery):
        assert known  # or `_given` had raised
        if update is None:
            raise Rejected("this question is answered with an update")
        after, masked = known.mask(asked, update)
        refuse_few(asked, after, own_least)
        return Answered(_noted(after, question, b""), encode(masked))
    if before:
        return Answered(state, before.answer)
    after, answer = _step(known, asked)
    refuse_few(asked, after, own_least)
    content = encode(answer)
    if isinstance(answer, Revealed) and answer.renewed:
        return Answered(_renewed(after, answer.renewed, Given(_digest(question), content)), content)
    return Answered(_noted(after, question, content), content)


def ended(state: bytes) -> bytes:
    """Without the round's secrets: for a round that failed, or a run that is over. It is answered no more."""
    known = _state_of(state)
    return NEW if known is None else _encoder.encode(known.without_secrets())


def _given(known: DeviceRound | None, asked: Question, question: bytes) -> Given | None:
    """What was answered to this very question; None when it is the next one. Raises `Rejected` for any other."""
    if isinstance(asked, Setup) and _is_new(known, asked):
        return None
    if known is None or known.run != asked.run:
        raise Rejected(f"round {asked.round} of run {asked.run} is not this device's")
    if known.before and known.before.question == _digest(question):
        return known.before
    if isinstance(asked, Renewal) and asked.round > known.round:
        _refuse_ended(bool(known.pairs))
        return None
    if known.round != asked.round:
        raise Rejected(f"round {asked.round} of run {asked.run} is not this device's")
    stage = _STAGES[type(asked)]
    if stage > len(known.given):
        raise Rejected("the question before this one was not asked")
    if stage == len(known.given):
        _refuse_ended(bool(known.private_key or known.self_seed))
        return None
    if known.given[stage].question != _digest(question):
        raise Rejected("another question of this stage was answered already", hint="each is answered once")
    if isinstance(asked, Delivery):
        raise Rejected("an update was masked already in this round", hint="two under the same masks hide neither")
    return known.given[stage]


def _refuse_ended(goes_on: bool) -> None:
    if not goes_on:
        raise Rejected("the round is over for this device", hint="its secrets are gone")


def _is_new(known: DeviceRound | None, asked: Setup) -> bool:
    """Whether it begins a round: then what is left of the one before is forgotten."""
    if known is None:
        return True
    if known.run != asked.run:
        raise Rejected(f"this is the state of run {known.run}", hint="each run has its own")
    if asked.round < known.round:
        raise Rejected(f"round {asked.round} after round {known.round}", hint="each attempt has a higher number")
    return asked.round > known.round


def _step(known: DeviceRound | None, asked: Setup | Neighbourhood | Renewal | Unmasking) -> tuple[DeviceRound, Answer]:
    if isinstance(asked, Setup):
        try:
            asked.parameters.check()
        except ConfigError as error:
            raise Rejected(str(error)) from error
        return DeviceRound.begin(asked)
    assert known  # `_given` has seen it
    match asked:
        case Neighbourhood():
            return known.share(asked)
        case Renewal():
            return known.renew(asked.round)
        case _:
            return known.reveal(asked)


def _noted(after: DeviceRound, question: bytes, answer: bytes) -> bytes:
    """The state. A masked vector is not in it."""
    given = (*(after.given or _skipped(after)), Given(_digest(question), answer))
    return _encoder.encode(structs.replace(after, given=given))


def _renewed(after: DeviceRound, dealt: Shared, before: Given) -> bytes:
    """The state, as if the device had been asked for a `Renewal`: it may be, when the hub has not seen this answer."""
    asked = Given(_digest(encode(Renewal(run=after.run, round=after.round))), encode(dealt))
    return _encoder.encode(structs.replace(after, given=(_NOT_ASKED, asked), before=before))


def _skipped(after: DeviceRound) -> tuple[Given, ...]:
    return () if after.round == after.began else (_NOT_ASKED,)


def _state_of(state: bytes) -> DeviceRound | None:
    if not state:
        return None
    try:
        return _decoder.decode(state)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt(f"the state of secure aggregation: {error}") from error


def _digest(question: bytes) -> bytes:
    return hashlib.sha256(question).digest()
