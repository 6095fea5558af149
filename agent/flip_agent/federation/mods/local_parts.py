"""Arrays that are the device's own: trained here, kept here, never sent.

The app is given the device's own in place of what came with the instruction, which at first is all there is. They are
kept in `context.state`, where an app never sees them, and taken out of each reply.
"""

from collections.abc import Sequence

from flwr.app import Array, ArrayRecord, Context, Message
from flwr.clientapp.typing import ClientAppCallable

from flip_agent.federation.mods.records import Record, arrays_of, hidden
from flip_update.local_parts import local_names

OWN = "flip.local"


class LocalParts:
    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = patterns

    def __call__(self, message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        """Raises `Rejected` when a pattern matches none of the instruction's arrays, or all would be local."""
        asked = arrays_of(message.content)
        if asked is None:
            return call_next(message, context)
        name, arrays = asked
        local = local_names(arrays, self._patterns)
        with hidden(context, OWN) as kept:
            message.content[name] = ArrayRecord(dict(arrays) | _fitting(kept, {each: arrays[each] for each in local}))
            reply = call_next(message, context)
            answered = None if reply.has_error() else arrays_of(reply.content)
            if answered is not None:
                self._keep(answered, set(local), reply, context)
        return reply

    def _keep(self, answered: tuple[str, ArrayRecord], local: set[str], reply: Message, context: Context) -> None:
        name, arrays = answered
        if own := {key: array for key, array in arrays.items() if key in local}:
            context.state[OWN] = ArrayRecord(own)
        reply.content[name] = ArrayRecord({key: array for key, array in arrays.items() if key not in local})


def _fitting(kept: Record | None, came: dict[str, Array]) -> dict[str, Array]:
    """The device's own, where they are still of the model's shape."""
    if not isinstance(kept, ArrayRecord):
        return {}
    return {
        name: kept[name]
        for name, array in came.items()
        if name in kept and (kept[name].shape, kept[name].dtype) == (array.shape, array.dtype)
    }
