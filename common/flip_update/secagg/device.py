"""A device's end of secure aggregation: bytes in, bytes out. The caller keeps the state and answers what it is told to.

The state must be on disk BEFORE the answer leaves. Then, wherever the device is cut off: the same question gives the
same answer, no question of a stage that is answered gets another one, and no secret serves twice. What raises leaves
the state as it was.
"""

import hashlib
from typing import Final, NamedTuple

import msgspec
from msgspec import structs

from flip_runtime.errors import ConfigError, Corrupt, Rejected
from flip_update.secagg.device_round import DeviceRound, Given, Update
from flip_update.secagg.messages import (
    STAGES,
    Answer,
    Delivery,
    Neighbourhood,
    Question,
    Setup,
    Unmasking,
    encode,
    question_of,
)

NEW: Final = b""
"""The state before a run's first round."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(DeviceRound)


class Answered(NamedTuple):
    state: bytes
    answer: bytes


def needs_update(question: bytes) -> bool:
    """Raises `Rejected` for what is no question."""
    return isinstance(question_of(question), Delivery)


def answered(state: bytes, question: bytes, update: Update | None = None) -> Answered:
    """`update`: where the question `needs_update`. Asked again, it is answered again, with the same update alone.

    Raises `Rejected` for whatever an honest hub would not ask now, and for an update that the parameters have no room
    for; `Corrupt` for a state that is none.
    """
    asked = question_of(question)
    known = _state_of(state)
    before = _given(known, asked, question)
    if isinstance(asked, Delivery):
        assert known  # or `_given` had raised
        if update is None:
            raise Rejected("this question is answered with an update")
        if not known.self_seed:
            raise Rejected("the round is over for this device", hint="its secrets are gone")
        after, answer = known.mask(asked, update)
        content = encode(answer)
        return Answered(state if before else _noted(after, question, b""), content)
    if before:
        return Answered(state, before.answer)
    after, answer = _step(known, asked)
    content = encode(answer)
    return Answered(_noted(after, question, content), content)


def ended(state: bytes) -> bytes:
    """Without the round's secrets: for a round that failed, or a run that is over. It is answered no more."""
    known = _state_of(state)
    return NEW if known is None else _encoder.encode(known.without_secrets())


def _given(known: DeviceRound | None, asked: Question, question: bytes) -> Given | None:
    """What was answered to this very question; None when it is the next one. Raises `Rejected` for any other."""
    if isinstance(asked, Setup) and _is_new(known, asked):
        return None
    if known is None or (known.run, known.round) != (asked.run, asked.round):
        raise Rejected(f"round {asked.round} of run {asked.run} is not this device's")
    stage = STAGES.index(type(asked))
    if stage < len(known.given):
        if known.given[stage].question != _digest(question):
            raise Rejected("another question of this stage was answered already", hint="each is answered once")
        return known.given[stage]
    if stage > len(known.given):
        raise Rejected("the question before this one was not asked")
    if not known.private_key and not known.self_seed:
        raise Rejected("the round is over for this device", hint="its secrets are gone")
    return None


def _is_new(known: DeviceRound | None, asked: Setup) -> bool:
    """Whether it begins a round: then what is left of the one before is forgotten."""
    if known is None:
        return True
    if known.run != asked.run:
        raise Rejected(f"this is the state of run {known.run}", hint="each run has its own")
    if asked.round < known.round:
        raise Rejected(f"round {asked.round} after round {known.round}", hint="each attempt has a higher number")
    return asked.round > known.round


def _step(known: DeviceRound | None, asked: Setup | Neighbourhood | Unmasking) -> tuple[DeviceRound, Answer]:
    if isinstance(asked, Setup):
        try:
            asked.parameters.check()
        except ConfigError as error:
            raise Rejected(str(error)) from error
        return DeviceRound.begin(asked)
    assert known  # `_given` has seen it
    return known.share(asked) if isinstance(asked, Neighbourhood) else known.reveal(asked)


def _noted(after: DeviceRound, question: bytes, answer: bytes) -> bytes:
    """The state. A masked vector is not in it: it is made again from the update."""
    given = (*after.given, Given(_digest(question), answer))
    return _encoder.encode(structs.replace(after, given=given))


def _state_of(state: bytes) -> DeviceRound | None:
    if not state:
        return None
    try:
        return _decoder.decode(state)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt(f"the state of secure aggregation: {error}") from error


def _digest(question: bytes) -> bytes:
    return hashlib.sha256(question).digest()
