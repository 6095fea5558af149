"""What the session and its worker say to each other over a socket pair: frames of four bytes of length and MessagePack.

The session sends the objects of an instruction, then `Call`; the worker answers with the reply's objects, then
`Answered`, or with `Failed` alone. Where the call `signs`, the worker says before what the reply holds (`Sign`), and
gets that signed.
"""

import msgspec
from msgspec import Struct

from flip_agent.federation.flower import Item, Reply
from flip_agent.settings import Value
from flip_update.secagg.parameters import FEWEST
from flip_wire.models import Sha256
from flip_wire.statements import Signed
from flip_wire.terms import Terms

HEADER = 4
"""Bytes of the length, big-endian."""
LIMIT = 2**30
"""Bytes of a frame; an object has at most 5 MiB, `context.state` may be larger."""


class Call(Struct, frozen=True, kw_only=True, tag=True):
    message_id: str
    run_id: str
    node_id: str
    node_config: dict[str, Value]
    run_config: dict[str, Value]
    context: bytes
    """`context.state` after the message before; empty at first."""
    terms: Terms | None = None
    """What is asked beside running the app."""
    signs: bool = False
    """Whether the session signs what the reply holds."""
    secure_least: int = FEWEST
    """`federation.secure_least`."""


class Sign(Struct, frozen=True, kw_only=True, tag=True):
    """As `flip_wire.statements.Statement`."""

    base: Sha256
    content: Sha256
    samples: float | None


class ToSay(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to `Sign`: goes with the reply."""

    signed: Signed


class Answered(Struct, frozen=True, kw_only=True, tag=True):
    reply: Reply
    context: bytes
    seconds: float


class Failed(Struct, frozen=True, kw_only=True, tag=True):
    code: int
    """Of Flower's ErrorCode."""
    reason: str


ToWorker = Item | Call | ToSay
FromWorker = Item | Sign | Answered | Failed

_encoder = msgspec.msgpack.Encoder()
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode


def encode(frame: ToWorker | FromWorker) -> bytes:
    """Raises `ValueError` when it is too large."""
    content = _encoder.encode(frame)
    return length_bytes(len(content)) + content


def length_bytes(length: int) -> bytes:
    if length > LIMIT:
        raise ValueError(f"a frame of {length} bytes is larger than {LIMIT}")
    return length.to_bytes(HEADER, "big")


def length_of(header: bytes) -> int:
    """Raises `ValueError` when the other side breaks the limit."""
    length = int.from_bytes(header, "big")
    length_bytes(length)
    return length
