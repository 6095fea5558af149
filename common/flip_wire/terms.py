"""What an instruction asks of a device beside running the ClientApp, and what the reply says of itself.

Both travel in the message: as a ConfigRecord named `RECORD`, under the keys `TERMS` and `ACCOUNT`, in MessagePack. The
device takes the record out before the ClientApp sees the instruction, the hub before the strategy sees the reply; so
any Flower app and any strategy works with them unchanged. A device that is no agent of ours is never sent terms.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from flip_wire.statements import Signed

RECORD = "flip"
TERMS = "terms"
ACCOUNT = "account"
PACKED = "flip.update"
"""Where a reply has packed arrays, a record of the same name holds their bytes under this key: a ConfigRecord, or, past
`PACKED_WHOLE` bytes, an ArrayRecord whose one array Flower sends in pieces."""
PACKED_WHOLE = 64 * 2**10

SECURE = "flip.secagg"
"""A record of secure aggregation (`flip_update.secagg`): in an instruction a ConfigRecord with the keys `QUESTION` and
`WEIGHTED_BY`, in a reply one with `ANSWER`, or, past `PACKED_WHOLE` bytes, an ArrayRecord whose one array is that."""
QUESTION = "question"
WEIGHTED_BY = "weighted-by"
"""Name of the metric that is the update's weight in the mean."""
ANSWER = "answer"

Codec = Literal["float", "int8", "int4", "topk"]
FORMS: tuple[Codec, ...] = ("float", "int8", "int4", "topk")
"""What this version can send an update in; a device tells it, and one that tells none can `float` alone."""


class UpdateForm(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a device's update travels. All but `float`, which is sent as the app gives it, carry the difference from
    the instruction's arrays, and keep on the device what they left out of it, for the next time."""

    codec: Codec = "float"
    """`int8`, `int4`: every entry in 8 or 4 bits; `topk`: the largest entries alone, in 8 bits."""
    share: Annotated[float, Meta(gt=0, le=1)] = 0.05
    """Of the entries that `topk` keeps."""


class Clipping(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="clipping"):
    """The device clips its update to the `clipping_norm` in the instruction's configuration."""

    adaptive: bool = False
    """Whether its metrics say if that has changed it (`norm_bit`), so that the hub can find a better norm."""


class Noise(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="noise"):
    """The device clips its update and adds noise to it."""

    clipping_norm: Annotated[float, Meta(gt=0)]
    """Euclidean length."""
    stddev: Annotated[float, Meta(gt=0)]
    """Of the Gaussian noise on each entry."""
    metrics: bool = False
    """Whether the reply's metrics may leave the device, which nothing hides; else all weigh alike."""


class Terms(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of one instruction."""

    run_id: str
    """The hub's name of the run, which outlives Flower's numbers: what a device keeps for a run, it keeps under it."""
    round: int
    form: UpdateForm | None = None
    """That the reply's arrays travel in; None: as the app gives them."""
    local: list[str] = []
    """Patterns (`fnmatch`) of the arrays that are the device's own: trained, kept there and never sent."""
    privacy: Clipping | Noise | None = None
    """What hides the device's update before it leaves; None: nothing does, or the hub."""
    secure: bool = False
    """Whether the update leaves the device masked alone, as the answer to the question in the record `SECURE`."""


class Account(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of one reply."""

    run_id: str
    round: int
    form: UpdateForm | None = None
    """That the arrays came in; None: as the app gave them."""
    signed: Signed | None = None
    """What the device says and signs of what it contributes."""


_encoder = msgspec.msgpack.Encoder()
_terms = msgspec.msgpack.Decoder(Terms)
_account = msgspec.msgpack.Decoder(Account)


def encode(value: Terms | Account) -> bytes:
    return _encoder.encode(value)


def decode_terms(content: bytes) -> Terms:
    """Raises `msgspec.DecodeError`."""
    return _terms.decode(content)


def decode_account(content: bytes) -> Account:
    """Raises `msgspec.DecodeError`."""
    return _account.decode(content)
