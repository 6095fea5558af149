"""What a device deals to its neighbours: shares of two secrets, closed for each, with commitments; and its escrow.

The self seed's stream hides a vector that is in the sum; it is revealed for devices that sent. The escrow key opens
the seeds of a device's masks with its neighbours; it is revealed for devices that dropped out.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from flip_runtime.errors import Rejected
from flip_update.secagg.keys import Pair, context
from flip_update.secagg.masks import SEED
from flip_update.secagg.messages import Parcel
from flip_update.secagg.shamir import SHARE

TAG: Final = 16
"""Bytes of ChaCha20-Poly1305's."""
_NONCE: Final = 12


class Shares(NamedTuple):
    """Of one device's secrets, those of one holder."""

    self_seed: bytes
    escrow_key: bytes


class Dealing(NamedTuple):
    """Binds what is dealt: a parcel of another round, or one that was dealt to somebody else, does not open."""

    run: str
    round: int
    dealer: int
    holder: int


def parcel(shares: Shares, pair: Pair, dealing: Dealing) -> Parcel:
    bound = context("parcel", *dealing)
    both = shares.self_seed + shares.escrow_key
    return Parcel(
        number=dealing.holder,
        content=ChaCha20Poly1305(pair.parcel_key).encrypt(_nonce(dealing.dealer), both, bound),
        self_seed=_committed("self seed", shares.self_seed, bound),
        escrow_key=_committed("escrow key", shares.escrow_key, bound),
    )


def opened(parcel: Parcel, pair: Pair, dealing: Dealing) -> Shares:
    """Raises `Rejected` when it was not closed for this holder, or holds other shares than the hub has been told."""
    bound = context("parcel", *dealing)
    try:
        plain = ChaCha20Poly1305(pair.parcel_key).decrypt(_nonce(dealing.dealer), parcel.content, bound)
    except InvalidTag as error:
        raise Rejected(f"the parcel of device {dealing.dealer} does not open") from error
    shares = Shares(plain[:SHARE], plain[SHARE:])
    made = _committed("self seed", shares.self_seed, bound), _committed("escrow key", shares.escrow_key, bound)
    if made != (parcel.self_seed, parcel.escrow_key):
        raise Rejected(f"the parcel of device {dealing.dealer} holds other shares than it has committed to")
    return shares


def commitment(secret: Literal["self seed", "escrow key"], share: bytes, dealing: Dealing) -> bytes:
    """SHA-256. Hides the share, which is as good as random for whoever has fewer than the threshold."""
    return _committed(secret, share, context("parcel", *dealing))


def _committed(secret: Literal["self seed", "escrow key"], share: bytes, bound: bytes) -> bytes:
    """No two of these make the same bytes: MessagePack says where `bound` ends, and neither name begins the other."""
    return hashlib.sha256(bound + secret.encode() + share).digest()


def seal(self_seed: bytes, run: str, round_: int, dealer: int) -> bytes:
    """Commitment to a whole secret: what its shares must make."""
    return hashlib.sha256(context("seal", run, round_, dealer, self_seed)).digest()


def escrow(key: bytes, seeds: Sequence[bytes], run: str, round_: int, dealer: int) -> bytes:
    """The seeds of the dealer's masks, in the order of its neighbours. A key closes one escrow only."""
    return ChaCha20Poly1305(key).encrypt(bytes(_NONCE), b"".join(seeds), context("escrow", run, round_, dealer))


def seeds_in(escrow: bytes, key: bytes, run: str, round_: int, dealer: int) -> list[bytes]:
    """Raises `Rejected` when the key is not the one that closed it."""
    try:
        plain = ChaCha20Poly1305(key).decrypt(bytes(_NONCE), escrow, context("escrow", run, round_, dealer))
    except InvalidTag as error:
        raise Rejected("the escrow does not open with what its shares make") from error
    return [plain[start : start + SEED] for start in range(0, len(plain), SEED)]


def _nonce(dealer: int) -> bytes:
    """A pair's key closes two parcels, one of each end."""
    return dealer.to_bytes(_NONCE)
