"""What a device signs of each contribution, and the exact bytes of it.

    "flip-contribution-1\\n" + JSON array of the fields of `Statement`, in their order

Signed with the device's own key, ECDSA on P-384 with SHA-256, as it proves itself when it enrols. Neither the
instruction's id nor Flower's numbers are part of it: a run that goes on asks again in the same words, and what lies
finished on a device is still what it says. Two statements of one device are never the same: each has a nonce.
"""

import hashlib
from collections.abc import Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from flip_wire.fleet import DeviceId
from flip_wire.models import Sha256

_FORMAT = b"flip-contribution-1\n"
_CONTENT = b"flip-content-1\n"


class Statement(Struct, frozen=True, kw_only=True):
    device_id: DeviceId
    run_id: str
    """The hub's."""
    round: int
    phase: str
    """Flower's message type before the first dot."""
    base: Sha256
    """`content_hash` of the instruction's arrays."""
    content: Sha256
    """`content_hash` of the reply's records as they travel, but for what the reply says of itself."""
    samples: float | None
    """`num-examples` of the reply's metrics, where they say so."""
    nonce: str

    def signed_content(self) -> bytes:
        """The bytes that are signed."""
        return _FORMAT + msgspec.json.encode(astuple(self))

    @property
    def digest(self) -> str:
        """Names it: SHA-256 of the bytes that are signed."""
        return hashlib.sha256(self.signed_content()).hexdigest()


class Signed(Struct, frozen=True, kw_only=True):
    statement: Statement
    signature: str
    """Base64 of DER."""


def content_hash(records: Mapping[str, str]) -> Sha256:
    """`records`: Flower's id of each (SHA-256 of it, which covers names, dtypes, shapes and bytes), by its name."""
    return Sha256(hashlib.sha256(_CONTENT + msgspec.json.encode(sorted(records.items()))).hexdigest())
