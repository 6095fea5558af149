"""Signatures of apps, in the format in which Flower's FABs carry them (`Fab.verifications`, flwr 1.41).

An app is known by the SHA-256 of its file. What is signed (ed25519) is the date, 8 bytes big endian, and that hash.
"""

from msgspec import Struct

from flip_wire.models import Sha256

LICENSE_ENTRY = "valid_license"
"""Stands among a FAB's verifications beside the keys' ids; without it Flower's SuperNode takes nothing as signed."""


class Verification(Struct, frozen=True):
    """What one key says of an app; JSON, under the key's id."""

    signature: str
    """Base64 in the alphabet for URLs."""
    signed_at: int
    """Unix seconds."""


def signed_content(fab_hash: Sha256, signed_at: int) -> bytes:
    """The bytes that are signed."""
    return signed_at.to_bytes(8, "big") + bytes.fromhex(fab_hash)
