"""A device's reply as the app gave it: packed arrays whole again, parts that stay local filled in.

For what a device keeps to itself the reply gets the instruction's own values, so that any strategy works with it, and
none changes them.
"""

from collections.abc import Mapping, Sequence

from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict

from flip_hub.federation.aggregator.strategies.lazy_array import LazyArray
from flip_hub.federation.aggregator.strategies.tensors import read, written
from flip_runtime.errors import Rejected
from flip_update.base import Base
from flip_update.codec import decode
from flip_update.local_parts import split
from flip_wire.terms import PACKED


class Unpacking:
    """Of the replies to one instruction, to however many devices it was sent."""

    def __init__(self, asked: RecordDict, local: Sequence[str] = ()) -> None:
        """`asked`: the instruction's content, which must not change meanwhile; `local`: of the run's plan.

        Raises `Rejected` when a pattern matches none of its arrays, or all.
        """
        records = list(asked.array_records.values())
        self._asked: Mapping[str, Array] = records[0] if len(records) == 1 else {}
        self._shared, self._local = split(self._asked, local) if self._asked else ({}, {})
        self._base: Base | None = None

    @property
    def arrays(self) -> Mapping[str, Array]:
        """Of the instruction; none where it has not one record of them."""
        return self._asked

    def unpack(self, reply: Message) -> Message:
        """The same message; one without packed arrays, where nothing stays local, as it was. Raises `Rejected` that
        says what is wrong with it."""
        if not reply.has_content():
            return reply
        for name, record in list(reply.content.items()):
            if (packed := _packed(record)) is not None:
                del reply.content[name]  # Flower warns of a record that changes its kind
                reply.content[name] = self._whole(self._decoded(packed))
            elif isinstance(record, ArrayRecord) and self._local:
                reply.content[name] = self._whole(record)
        return reply

    def _decoded(self, packed: bytes) -> ArrayRecord:
        if not self._shared:
            raise Rejected("the reply has packed arrays, the instruction has not one record of arrays")
        base = self._base or Base(read(self._shared))
        if not any(isinstance(array, LazyArray) for array in self._shared.values()):
            self._base = base  # it takes no memory more
        return written(decode(packed, base))

    def _whole(self, arrays: Mapping[str, Array]) -> ArrayRecord:
        """In the instruction's order; arrays that it has not come last, for whoever checks replies to refuse."""
        whole = dict(arrays) | self._local
        record = ArrayRecord()  # a constructor would copy what is on the disk
        for name in dict.fromkeys([*self._asked, *whole]):
            if name in whole:
                record[name] = whole[name]
        return record


def _packed(record: object) -> bytes | None:
    """Raises `Rejected` when it is no record as devices make it."""
    if not isinstance(record, ConfigRecord | ArrayRecord) or PACKED not in record:
        return None
    value = record[PACKED]
    content = value.data if isinstance(value, Array) else value
    if not isinstance(content, bytes) or len(record) != 1:
        raise Rejected("the reply's packed arrays are no bytes, or not alone")
    return content
