"""The reply's arrays as few bytes: their difference from the instruction's, in the form that the run asks for.

What the form leaves out waits in `context.state` for the next update of this run; an app never sees it there. A reply
without arrays passes as it is.
"""

from collections.abc import Sequence

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message
from flwr.clientapp.typing import ClientAppCallable

from flip_agent.federation.mods.records import Record, arrays_of, hidden
from flip_runtime.errors import Rejected
from flip_update.base import Base, Row
from flip_update.codec import encode
from flip_update.local_parts import split
from flip_wire.terms import PACKED, PACKED_WHOLE, UpdateForm

RESIDUAL = "flip.residual"
_OF = "of"
"""Key: the form and the layout that it is left of; with any others it is worth nothing."""
_VALUES = "values"
"""Key: float32, little-endian."""


class PackedUpdate:
    def __init__(self, form: UpdateForm, local: Sequence[str] = ()) -> None:
        """Arrays that match `local` are no part of the reply."""
        self._form = form
        self._local = local

    def __call__(self, message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        """Raises `Rejected` when the app's arrays are not those of the instruction, trained, or are not finite."""
        if self._form.codec == "float":
            context.state.pop(RESIDUAL, None)
            return call_next(message, context)
        asked = arrays_of(message.content)
        given = dict(asked[1]) if asked else {}  # an app may take the record apart
        with hidden(context, RESIDUAL) as kept:
            reply = call_next(message, context)
            answered = None if reply.has_error() else arrays_of(reply.content)
            if answered is None:
                return reply
            name, arrays = answered
            shared, _ = split(given, self._local)
            base = Base({key: array.numpy() for key, array in shared.items()})
            update = {key: array.numpy() for key, array in arrays.items()}
            encoded = encode(update, base, self._residual(kept, base), self._form)
            values = encoded.residual.astype("<f4", copy=False).tobytes()
            context.state[RESIDUAL] = ConfigRecord({_OF: self._origin(base), _VALUES: values})
        del reply.content[name]  # Flower warns of a record that changes its kind
        reply.content[name] = _record(encoded.content)
        return reply

    def _residual(self, kept: Record | None, base: Base) -> Row | None:
        """None when there is none of this form and layout."""
        if not isinstance(kept, ConfigRecord) or kept.get(_OF) != self._origin(base):
            return None
        values = kept.get(_VALUES)
        if not isinstance(values, bytes) or len(values) != 4 * base.entries:
            raise Rejected("the residual in context.state is not as long as the model")
        return np.frombuffer(values, "<f4").astype(np.float32, copy=False)

    def _origin(self, base: Base) -> str:
        return f"{self._form.codec} {self._form.share:g} {base.layout:08x}"


def _record(content: bytes) -> Record:
    if len(content) <= PACKED_WHOLE:
        return ConfigRecord({PACKED: content})
    return ArrayRecord({PACKED: Array(dtype="uint8", shape=(len(content),), stype=PACKED, data=content)})
