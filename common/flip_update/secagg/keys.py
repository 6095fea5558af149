"""Keys of a circle: a fresh X25519 pair for each device, and what two devices derive from theirs for each round.

One agreement gives a pair of devices both its keys (HKDF-SHA256, one for each purpose); the published protocol makes
two, because there the secret key of the masks is what gets shared. Here it never is: see `parcels.Escrow`. A third key
leads on to those of the next round, and none leads back: who breaks into a device learns nothing of rounds before.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final, Self

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from msgspec import Struct

from flip_runtime.errors import Rejected
from flip_update.secagg.messages import Neighbour

ROUNDS: Final = 32
"""Numbers that one agreement serves, its first included."""
_KEY: Final = 32


class Pair(Struct, frozen=True, kw_only=True):
    """What a device has in common with one neighbour in one round, and nobody else."""

    number: int
    """The neighbour's."""
    parcel_key: bytes
    mask_seed: bytes
    following: bytes
    """From which the keys of the next number are derived."""

    @classmethod
    def of(cls, number: int, keys: bytes) -> Self:
        return cls(
            number=number, parcel_key=keys[:_KEY], mask_seed=keys[_KEY : 2 * _KEY], following=keys[2 * _KEY : 3 * _KEY]
        )


def context(purpose: str, *parts: str | int | bytes) -> bytes:
    """Binds a key, a ciphertext or a commitment to what it is for; different parts never give the same bytes."""
    return msgspec.msgpack.encode(("flip secagg 1", purpose, *parts))


def stepped(pairs: Sequence[Pair], run: str, round_: int) -> tuple[Pair, ...]:
    """To that round, the next one."""
    info = context("next", run, round_)
    return tuple(Pair.of(p.number, HKDFExpand(hashes.SHA256(), 3 * _KEY, info).derive(p.following)) for p in pairs)


class OwnKey:
    def __init__(self, key: X25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()

    @classmethod
    def drawn(cls) -> Self:
        return cls(X25519PrivateKey.generate())

    @classmethod
    def kept(cls, private_key: bytes) -> Self:
        return cls(X25519PrivateKey.from_private_bytes(private_key))

    @property
    def private(self) -> bytes:
        return self._key.private_bytes_raw()

    def pair_with(self, neighbour: Neighbour, number: int, run: str, round_: int) -> Pair:
        """`number`: of the device whose key this is. Raises `Rejected` for a point of low order."""
        secret = _agreed(self._key, neighbour.public_key)
        ends = sorted([(number, self.public), (neighbour.number, neighbour.public_key)])
        info = context("pair", run, round_, *(part for end in ends for part in end))
        return Pair.of(neighbour.number, HKDF(hashes.SHA256(), 3 * _KEY, None, info).derive(secret))


def refuse_weak(public_key: bytes) -> None:
    """Raises `Rejected` for a point of low order: whatever the other key, everybody knows what the two agree on."""
    _agreed(_any_key(), public_key)


def _agreed(private_key: X25519PrivateKey, public_key: bytes) -> bytes:
    try:
        return private_key.exchange(X25519PublicKey.from_public_bytes(public_key))
    except ValueError as error:
        raise Rejected("the public key is a point of low order") from error


@cache
def _any_key() -> X25519PrivateKey:
    return X25519PrivateKey.generate()
