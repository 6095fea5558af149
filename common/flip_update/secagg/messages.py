"""The questions of a round and their answers, as MessagePack. Each names its run and round.

Setup         -> Advertised   a fresh public key
Neighbourhood -> Shared       shares of two secrets, each closed for one neighbour
Delivery      -> Masked       the masked vector
Unmasking     -> Revealed     of each neighbour the share of one secret

A circle of neighbours serves several rounds (`keys.ROUNDS`). In all but its first there is no `Setup`, and in the place
of `Neighbourhood` stands

Renewal       -> Shared

which is asked of those alone that have not dealt with the `Unmasking` of the round before: most devices are asked two
questions a round.
"""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from flip_runtime.errors import Rejected
from flip_update.secagg.parameters import MOST, Parameters
from flip_update.secagg.ring import Ring

RunId = Annotated[str, Meta(min_length=1, max_length=64)]
RoundNumber = Annotated[int, Meta(ge=1, le=2**62)]
"""Grows with every attempt of a run: devices answer for no number that is not higher than the one before."""
Number = Annotated[int, Meta(ge=0, lt=MOST)]
"""Of a device, its place in the circle."""
Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
ShareBytes = Annotated[bytes, Meta(min_length=33, max_length=33)]
Closed = Annotated[bytes, Meta(min_length=82, max_length=82)]
"""Two shares and the tag of ChaCha20-Poly1305."""
EscrowBytes = Annotated[bytes, Meta(min_length=80, max_length=32 * MOST + 16)]
Numbers = Annotated[list[Number], Meta(max_length=MOST)]


class Message(Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    run: RunId
    round: RoundNumber


class Setup(Message, frozen=True, kw_only=True):
    parameters: Parameters


class Advertised(Message, frozen=True, kw_only=True):
    public_key: Bytes32
    """X25519."""


class Neighbour(Struct, frozen=True):
    number: Number
    public_key: Bytes32


class Neighbourhood(Message, frozen=True, kw_only=True):
    number: Number
    """Of the device that is asked."""
    ring: Ring
    neighbours: Annotated[list[Neighbour], Meta(max_length=MOST)]
    """As `Ring.neighbours` orders them, as are the parcels of `Shared`."""


class Renewal(Message, frozen=True, kw_only=True):
    """The number of the device, its neighbours and the threshold are those of the round before."""


class Parcel(Struct, frozen=True, kw_only=True):
    number: Number
    """To whom it goes; in a `Delivery`, whom it is from."""
    content: Closed
    self_seed: Bytes32
    """Commitment to the share of it that is inside: the holder checks it, and later the hub."""
    escrow_key: Bytes32
    """Likewise."""


class Shared(Message, frozen=True, kw_only=True):
    seal: Bytes32
    """Commitment to the self seed."""
    escrow: EscrowBytes
    """The seeds of the masks with each neighbour, closed with the escrow key."""
    parcels: Annotated[list[Parcel], Meta(max_length=MOST)]


class Delivery(Message, frozen=True, kw_only=True):
    parcels: Annotated[list[Parcel], Meta(max_length=MOST)]
    """From the neighbours that have shared: the device masks with these alone."""


class Masked(Message, frozen=True, kw_only=True):
    unopened: Numbers
    """Neighbours whose parcel does not open, or holds other shares than committed to: it has not masked with them."""
    vector: memoryview
    """`Parameters.words` words of 32 bits, little-endian; read in place."""


class Unmasking(Message, frozen=True, kw_only=True):
    sent: Numbers
    """Neighbours whose vectors are in the sum."""
    dropped: Numbers
    """Those with whom some have masked, and whose vectors are not in it."""
    renews: bool = False
    """Whether the device deals for the next number at once, as if it were asked for a `Renewal`."""


class Share(Struct, frozen=True):
    number: Number
    """Whose secret it is of."""
    content: ShareBytes


class Seed(Struct, frozen=True):
    number: Number
    content: Bytes32


class Revealed(Message, frozen=True, kw_only=True):
    self_seeds: Annotated[list[Share], Meta(max_length=MOST)]
    """Of those that sent."""
    escrow_keys: Annotated[list[Share], Meta(max_length=MOST)]
    """Of those that dropped out."""
    mask_seeds: Annotated[list[Seed], Meta(max_length=MOST)]
    """Of this device's own masks with those: all that is needed, except for masks of devices that answer no more."""
    renewed: Shared | None = None
    """For the round after this one."""


Question = Setup | Neighbourhood | Renewal | Delivery | Unmasking
Answer = Advertised | Shared | Masked | Revealed

_T = TypeVar("_T")
_encoder = msgspec.msgpack.Encoder()
_questions = msgspec.msgpack.Decoder(Question)
_answers = msgspec.msgpack.Decoder(Answer)


def encode(message: Question | Answer) -> bytes:
    return _encoder.encode(message)


def question_of(content: bytes) -> Question:
    """Raises `Rejected`."""
    return _decoded(_questions, content)


def answer_of(content: bytes) -> Answer:
    """Raises `Rejected`."""
    return _decoded(_answers, content)


def _decoded(decoder: msgspec.msgpack.Decoder[_T], content: bytes) -> _T:
    try:
        return decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected(f"no message of secure aggregation: {error}") from error
