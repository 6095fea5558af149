"""The chain of a run's receipts: one entry for each instruction, in the order in which their fates were settled.

    hash = SHA-256("flip-receipt-1\\n" + JSON array of all the fields but `hash`, in their order)

Each entry holds the hash of the one before, and what the device has signed; the hub's seal holds the last hash. So
anybody with the public keys finds what was altered, removed, put in or moved, also when it was by the hub's owner.
"""

import hashlib
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import astuple, replace

from flip_wire.contributions import Fate
from flip_wire.fleet import DeviceId
from flip_wire.statements import Signed

GENESIS = "0" * 64
"""What the first entry holds in place of a hash."""
_FORMAT = b"flip-receipt-1\n"
_SEAL = b"flip-receipts-1\n"


class ReceiptEntry(Struct, frozen=True, kw_only=True):
    run_id: str
    seq: int
    """1 for the first; no number is left out."""
    message_id: str
    """Of the instruction."""
    device_id: DeviceId
    round: int
    phase: str
    fate: Fate
    reason: str
    weight: float | None
    """Its share in the aggregate; None where it has none, or the strategy weighs otherwise."""
    at: float
    """When it was written."""
    signed: Signed | None
    """None of a device that has not answered with a result, signs nothing, or has not signed this itself."""
    key: str
    """PEM of the device's public key; empty where nothing is signed."""
    before: str
    """Hash of the entry before."""
    hash: str


class End(Struct, frozen=True, kw_only=True):
    """Where the chain ends."""

    seq: int = 0
    hash: str = GENESIS


class ReceiptSeal(Struct, frozen=True, kw_only=True):
    run_id: str
    entries: int
    hash: str
    """Of the last entry."""
    final: bool
    """Whether the run had ended: none comes after it."""
    at: float
    key: str
    """The hub's public key: Ed25519, a line in OpenSSH's format."""
    signature: str
    """Base64."""

    def signed_content(self) -> bytes:
        """The bytes that are signed."""
        return _SEAL + msgspec.json.encode(astuple(self)[:-1])


class SealKey(Struct, frozen=True, kw_only=True):
    """With which the hub signs seals."""

    public_key: str
    """Ed25519, a line in OpenSSH's format."""


class DeviceKeys(Struct, frozen=True, kw_only=True):
    """Of the devices in a chain, as the hub knows them since they enrolled."""

    public_keys: dict[DeviceId, str]
    """PEM."""


def chained(after: End, entries: Sequence[ReceiptEntry]) -> list[ReceiptEntry]:
    """In this order, each with its number and hashes."""
    made: list[ReceiptEntry] = []
    for entry in entries:
        entry = replace(entry, seq=after.seq + 1, before=after.hash, hash="")
        made.append(replace(entry, hash=digest(entry)))
        after = end(made[-1])
    return made


def end(entry: ReceiptEntry) -> End:
    return End(seq=entry.seq, hash=entry.hash)


def digest(entry: ReceiptEntry) -> str:
    """What its hash must be."""
    return hashlib.sha256(_FORMAT + msgspec.json.encode(astuple(entry)[:-1])).hexdigest()


def sealed(seal: ReceiptSeal, sign: Callable[[bytes], str]) -> ReceiptSeal:
    """With the signature of who has the key that it names."""
    return replace(seal, signature=sign(seal.signed_content()))
