"""What an agent must have signed of its reply, and whether it has: of this run, round and base, of this content and its
samples, once.

The arrays that were sent are hashed once for all devices, each reply once; a signature takes about a millisecond.
"""

import math
from collections import OrderedDict

from flwr.app import RecordDict
from msgspec import Struct

from flip_hub.receipts.signatures import is_signed_by
from flip_runtime.errors import Rejected
from flip_wire.fleet import DeviceId
from flip_wire.models import Sha256
from flip_wire.statements import Signed, content_hash

EXAMPLES = "num-examples"
"""Flower's strategies weigh a reply by it, unless they are told otherwise."""
_REMEMBERED = 100_000
"""Statements; of older ones the round says that they are old."""


class Signer(Struct, frozen=True, kw_only=True):
    device_id: DeviceId
    key: str
    """PEM."""

    def has_signed(self, signed: Signed) -> bool:
        return is_signed_by(self.key, signed)


class Asked(Struct, frozen=True, kw_only=True):
    round: int
    phase: str
    device_id: DeviceId
    base: Sha256


class Statements:
    """Of one run, as long as this process lives."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._seen: OrderedDict[str, str] = OrderedDict()
        """By the digest of a statement, the message that it came with."""

    def check(self, signed: Signed | None, asked: Asked, content: RecordDict, message_id: str) -> None:
        """`content`: of the reply, without what it says of itself. Raises `Rejected` in words for people."""
        if signed is None:
            raise Rejected("it is not signed by its device")
        said = signed.statement
        if self._seen.setdefault(said.digest, message_id) != message_id:
            raise Rejected("a replayed receipt: what is signed was given before, for another instruction")
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        if (said.run_id, said.round, said.phase) != (self._run_id, asked.round, asked.phase):
            raise Rejected(f"what is signed is {said.phase[:20]} of round {said.round} of {said.run_id[:40]}")
        if said.device_id != asked.device_id:
            raise Rejected(f"what is signed is of another device, {said.device_id[:40]}")
        if said.base != asked.base:
            raise Rejected("what is signed was made from other arrays than were sent")
        if said.content != content_hash({name: record.object_id for name, record in content.items()}):
            raise Rejected("its content is not what its device has signed")
        if said.samples not in (examples_of(content) or [None]):
            raise Rejected("it stands on another number of samples than its device has signed")


def examples_of(content: RecordDict) -> list[float]:
    """On how many examples it stands, in each record that says so."""
    numbers = [record.get(EXAMPLES) for record in content.metric_records.values()]
    return [float(number) for number in numbers if isinstance(number, int | float) and math.isfinite(number)]


def base_of(content: RecordDict) -> Sha256:
    return content_hash({name: record.object_id for name, record in content.array_records.items()})
