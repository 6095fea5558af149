"""Secure aggregation, around the ClientApp: what leaves the device of its update is masked.

The protocol's state is in `context.state`, where an app never sees it. The session writes it to the disk together with
the reply, in one transaction: a device that dies before has answered nothing and does the step again, one that dies
after has the answer on its disk. So no secret serves twice, and no two updates leave under the same masks.
"""

from collections.abc import Sequence

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp.typing import ClientAppCallable

from flip_agent.federation.mods.records import Record, arrays_of, hidden, need_same
from flip_runtime.errors import Corrupt, Rejected
from flip_update.local_parts import split
from flip_update.secagg.device import NEW, Update, answered, ended, needs_update
from flip_update.secagg.parameters import FEWEST
from flip_wire.terms import ANSWER, PACKED_WHOLE, QUESTION, SECURE, WEIGHTED_BY

STATE = "flip.secagg"
_STATE = "state"


class SecureUpdate:
    def __init__(self, local: Sequence[str] = (), own_least: int = FEWEST) -> None:
        """Arrays that match `local` are no part of the update; `own_least`: `federation.secure_least`."""
        self._local = local
        self._own_least = own_least

    def __call__(self, message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        """The app is called for the stage that needs its update alone.

        Raises `Rejected` for what an honest hub would not ask now, for rounds of fewer devices than this one puts up
        with, and for an update that cannot be masked; `Corrupt` for a state that is none. Nothing leaves the device
        then.
        """
        question, weighted_by = _asked(message.content)
        with hidden(context, STATE) as kept:
            update, state = None, _state(kept)
            if needs_update(state, question, self._own_least):
                asked = arrays_of(message.content)
                base = {} if asked is None else split(asked[1], self._local)[0]
                reply = call_next(message, context)
                if reply.has_error():
                    return reply
                update = _update(reply, base, weighted_by)
            state, answer = answered(state, question, update, self._own_least)
            context.state[STATE] = ConfigRecord({_STATE: state})
        return Message(RecordDict({SECURE: _record(answer)}), reply_to=message)


def end_round(context: Context) -> None:
    """For a run that is over: the secrets of its last round go."""
    kept = context.state.get(STATE)
    if kept is not None:
        context.state[STATE] = ConfigRecord({_STATE: ended(_state(kept))})


def _asked(content: RecordDict) -> tuple[bytes, str]:
    """Takes the question out: no app sees it."""
    record = content.pop(SECURE, None)
    question = record.get(QUESTION) if isinstance(record, ConfigRecord) else None
    weighted_by = record.get(WEIGHTED_BY) if isinstance(record, ConfigRecord) else None
    if not isinstance(question, bytes) or not isinstance(weighted_by, str):
        raise Rejected("this run aggregates securely, and the instruction has no question of that")
    return question, weighted_by


def _update(reply: Message, base: dict[str, Array], weighted_by: str) -> Update:
    """How the app has changed the model, by the arrays' names in order."""
    found = arrays_of(reply.content)
    if found is None:
        raise Rejected("the app's reply has no arrays")
    need_same(found[1], base)
    changes = [np.subtract(found[1][name].numpy(), base[name].numpy()) for name in sorted(base)]
    return Update(changes, _weight(reply, weighted_by))


def _weight(reply: Message, weighted_by: str) -> int:
    records: list[MetricRecord] = list(reply.content.metric_records.values())
    weights = [record[weighted_by] for record in records if weighted_by in record]
    weight = weights[0] if len(weights) == 1 else None
    if not isinstance(weight, int | float) or weight != weight // 1:
        raise Rejected(f"{weighted_by} is no whole number, and secure aggregation weighs by those alone")
    return int(weight)


def _state(kept: Record | None) -> bytes:
    if kept is None:
        return NEW
    state = kept.get(_STATE) if isinstance(kept, ConfigRecord) else None
    if not isinstance(state, bytes):
        raise Corrupt("the state of secure aggregation in context.state is none")
    return state


def _record(answer: bytes) -> Record:
    if len(answer) <= PACKED_WHOLE:
        return ConfigRecord({ANSWER: answer})
    return ArrayRecord({ANSWER: Array(dtype="uint8", shape=(len(answer),), stype=SECURE, data=answer)})
