"""What an instruction asks of a device beside running the ClientApp, and what the reply says of itself.

Both travel in the message: as a ConfigRecord named `RECORD`, under the keys `TERMS` and `ACCOUNT`, in MessagePack. The
device takes the record out before the ClientApp sees the instruction, the hub before the strategy sees the reply; so
any Flower app and any strategy works with them unchanged. A device that is no agent of ours is never sent terms.
"""

import msgspec
from msgspec import Struct

RECORD = "flip"
TERMS = "terms"
ACCOUNT = "account"


class Terms(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of one instruction."""

    run_id: str
    """The hub's name of the run, which outlives Flower's numbers: what a device keeps for a run, it keeps under it."""
    round: int


class Account(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of one reply."""

    run_id: str
    round: int


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
